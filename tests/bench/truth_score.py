"""Compares what a scanner found with the answers of `truth_corpus.py`.

    scan_folder FOLDER/files > found.jsonl
    python3 truth_score.py FOLDER found.jsonl [--list FAMILY] [--most 20]

A secret counts as found when a detection stands on its line; a detection on any other line is a false alarm, of the family of
the look-alike that stands there. Families that begin with `no.` are look-alikes.
"""

import argparse
import collections
import json
import os


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("found")
    parser.add_argument("--list", default=None, help="list misses and false alarms of families that begin so")
    parser.add_argument("--most", type=int, default=20)
    options = parser.parse_args()
    with open(os.path.join(options.folder, "answers.jsonl"), encoding="utf-8") as file:
        answers = [json.loads(line) for line in file]
    found = collections.defaultdict(list)
    with open(options.found, encoding="utf-8") as file:
        for line in file:
            one = json.loads(line)
            if "rule" in one:
                found[one["file"], one["line"]].append(one["rule"])
    texts = {}

    def text(path, line):
        if path not in texts:
            with open(os.path.join(options.folder, "files", path), encoding="utf-8", newline="\n") as file:
                texts[path] = file.read().split("\n")
        return texts[path][line - 1][:160]

    right, wrong = collections.Counter(), collections.Counter()
    total = collections.Counter()
    listed = collections.defaultdict(list)
    spans = {}
    for answer in answers:
        total[answer["family"]] += 1
        for line in range(answer["line"] - 3, answer["last"] + 1):
            spans.setdefault((answer["file"], line), answer["family"])
        for line in range(answer["line"], answer["last"] + 1):
            spans[answer["file"], line] = answer["family"]
        if answer["secret"]:
            if found.pop((answer["file"], answer["line"]), None):
                right[answer["family"]] += 1
            else:
                listed[answer["family"]].append(f"MISS  {answer['file']}:{answer['line']}  {text(answer['file'], answer['line'])}")
    for (path, line), rules in sorted(found.items(), key=str):
        family = spans.get((path, line), "filler") if line else "filler"
        wrong[family] += 1
        listed[family].append(f"FALSE {path}:{line}  {rules}  {text(path, line) if line else ''}")
    print(f"{'family':24} {'all':>6} {'found':>6} {'recall':>7} {'false':>6}")
    for family in sorted(set(total) | set(wrong)):
        share = f"{right[family] / total[family]:.3f}" if total[family] and not family.startswith("no.") else ""
        print(f"{family:24} {total[family]:6} {right[family]:6} {share:>7} {wrong[family]:6}")
    positives = sum(count for family, count in total.items() if not family.startswith("no."))
    hits, false = sum(right.values()), sum(wrong.values())
    recall, precision = hits / positives, hits / max(1, hits + false)
    print(f"recall {recall:.3f}  precision {precision:.3f}  F1 {2 * recall * precision / max(1e-9, recall + precision):.3f}")
    if options.list is not None:
        for family in sorted(listed):
            if family.startswith(options.list):
                print(f"\n== {family}")
                print("\n".join(listed[family][: options.most]))


if __name__ == "__main__":
    main()
