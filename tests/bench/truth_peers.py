"""Recall and precision of Overdue and the four peers on a labelled folder.

usage: truth_peers.py FOLDER [--overdue BINARY] [--found NAME=FILE.jsonl …] [--cache DIR] [--with-ripsecrets]
                      [--families] [--json OUT]

FOLDER/files is scanned (the folder itself, where there is none); FOLDER/answers.jsonl has an object for each line that matters:
file, line, `last` where the secret's text goes on, whether it is a secret (`secret` or `label`), and its family. --found
takes what another program found instead of running it: objects with file and line.

A secret counts as found when a finding's lines meet its own. Every other finding is a false alarm, two on one line being one;
`labelled` counts only the false alarms on lines that the answers call clean, for folders where not every line was judged.
"""
import argparse
import collections
import json
import pathlib

import peers
import scanners

YES = {True, 1, "1", "true", "t", "yes", "y", "secret", "positive"}
LONGEST = 200                      # lines of a finding that are looked at: no report may claim a whole file


def answers_of(folder):
    """The labelled lines."""
    with (folder / "answers.jsonl").open(encoding="utf-8") as lines:
        answers = [json.loads(line) for line in lines if line.strip()]
    for answer in answers:
        label = answer.get("secret", answer.get("label"))
        answer["is_secret"] = (label.lower() if isinstance(label, str) else label) in YES
        answer["file"] = plain(answer["file"], "")
    return answers


def plain(file, root):
    """A path below the scanned folder, archive members after one `!`."""
    file = file.replace("\\", "/").removeprefix(str(root)).removeprefix("file:")
    return file.removeprefix(str(root)).removeprefix("./").lstrip("/").replace("!/", "!")


def judge(answers, found):
    """Counts, in all and by family. `found` is (file, first line, last line)."""
    secrets, clean = {}, {}
    for number, answer in enumerate(answers):
        for line in range(answer["line"], answer.get("last", answer["line"]) + 1):
            (secrets if answer["is_secret"] else clean)[answer["file"], line] = number
    hit, alarms, labelled = set(), set(), set()
    for file, first, last in found:
        lines = [(file, line) for line in range(first, min(max(first, last), first + LONGEST) + 1)]
        met = {secrets[line] for line in lines if line in secrets}
        hit |= met
        if not met:
            alarms.add((file, first))
            labelled |= {clean[line] for line in lines if line in clean}
    families = collections.defaultdict(lambda: [0, 0])
    for number, answer in enumerate(answers):
        if answer["is_secret"]:
            families[answer["family"]][0] += number in hit
            families[answer["family"]][1] += 1
    false = collections.Counter(answers[number]["family"] for number in labelled)
    return {"secrets": sum(total for _, total in families.values()), "found": len(hit), "false": len(alarms),
            "false_labelled": len(labelled), "families": dict(families), "false_families": dict(false)}


def scores(found, false, secrets):
    """Recall, precision and F1."""
    recall = found / secrets if secrets else 0.0
    precision = found / (found + false) if found + false else 0.0
    return recall, precision, 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def table(judged):
    """One line for each tool."""
    lines = ["| | found | recall | precision | F1 | false alarms | F1 labelled | false labelled |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for name, facts in judged.items():
        recall, precision, f1 = scores(facts["found"], facts["false"], facts["secrets"])
        _, _, labelled = scores(facts["found"], facts["false_labelled"], facts["secrets"])
        lines.append(f"| {name} | {facts['found']} of {facts['secrets']} | {recall:.3f} | {precision:.3f} | {f1:.3f} | {facts['false']} "
                     f"| {labelled:.3f} | {facts['false_labelled']} |")
    return "\n".join(lines)


def family_table(judged):
    """Recall by family of secrets, then false alarms by family of what only looks like one."""
    names = list(judged)
    lines = ["", f"| family | of | {' | '.join(names)} |", "|---|---:|" + "---:|" * len(names)]
    for family in sorted({family for facts in judged.values() for family in facts["families"]}):
        total = max(facts["families"][family][1] for facts in judged.values())
        cells = [f"{facts['families'][family][0] / total:.2f}" for facts in judged.values()]
        lines.append(f"| {family} | {total} | {' | '.join(cells)} |")
    for family in sorted({family for facts in judged.values() for family in facts["false_families"]}):
        cells = [str(facts["false_families"].get(family, 0)) for facts in judged.values()]
        lines.append(f"| false: {family} | | {' | '.join(cells)} |")
    return "\n".join(lines)


def found_in(path):
    """What another program found."""
    places = []
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if item.get("file") and item.get("line"):
            places.append((item["file"], item["line"], item.get("last", item["line"])))
    return places


def arguments_of():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--overdue", type=pathlib.Path)
    parser.add_argument("--found", nargs="+", default=[], metavar="NAME=FILE")
    parser.add_argument("--cache", type=pathlib.Path, default=scanners.default_cache())
    parser.add_argument("--with-ripsecrets", action="store_true")
    parser.add_argument("--families", action="store_true", help="recall by family as well")
    parser.add_argument("--json", type=pathlib.Path, help="write the counts there")
    return parser.parse_args()


def main():
    """Runs, judges, prints."""
    options = arguments_of()
    folder, cache = options.folder.resolve(), options.cache.resolve()
    files = folder / "files" if (folder / "files").is_dir() else folder
    answers = answers_of(folder)
    tools = [tool for tool in peers.install(cache, options.with_ripsecrets) if not isinstance(tool, peers.BetterleaksReadingAll)]
    if options.overdue:
        tools.insert(0, peers.Overdue(options.overdue.resolve()))
    bench = scanners.Bench(cache, limit=1800, patience=0)
    judged = {}
    for name, _, path in (one.partition("=") for one in options.found):
        judged[name] = judge(answers, [(plain(file, files), first, last) for file, first, last in found_in(pathlib.Path(path))])
    for tool in tools:
        run, located = bench.once(tool, "truth", files)
        if "failed" in run:
            print(f"{tool.name}: n/a, {run['failed']}")
            continue
        judged[tool.name] = judge(answers, [(plain(file, files), first, last) for file, first, last in located if first])
    print(table(judged))
    if options.families:
        print(family_table(judged))
    if options.json:
        options.json.write_text(json.dumps(judged, indent=1) + "\n")


if __name__ == "__main__":
    main()
