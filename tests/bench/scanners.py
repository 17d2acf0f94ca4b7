"""Overdue and four other scanners, one after the other on the same corpora: what each costs.

usage: scanners.py [--overdue BINARY] [--cache DIR] [--scale 1.0] [--rounds 3] [--with-ripsecrets]
                   [--corpora NAME …] [--tools NAME …] [--docs FOLDER] [--from RESULTS.json]

Installs the peers and builds the corpora (corpora.py) in the cache on the first run; needs Python 3.11 with pip and venv, git,
npm and cargo. Then the tools take turns on each corpus, so that a slow moment of the machine meets all of them, with
verification off, default rules and two threads. Medians of CPU and wall seconds and the largest peak memory are kept.

Writes results.json, scanners.md and scanners.svg to CACHE/results/; after a complete run, or with --docs, the plot also to
docs/benchmarks/ and the table into docs/benchmarks.md, between its two marker comments. --from makes table and plot
of an earlier run's results.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys

import corpora
import peers
import tables

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
STARTS = 20
STDIN_LINE = "retries = 3\n"


def default_cache():
    """Beside cargo's target folder where that is elsewhere, else inside it."""
    target = os.environ.get("CARGO_TARGET_DIR")
    return pathlib.Path(target).parent / "bench" if target else PROJECT / "target/bench"


def arguments_of():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--overdue", type=pathlib.Path, help="our binary; without it the peers alone are measured")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache(), help="packages, peers, corpora and results; about 6 GB")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 for corpora of a tenth")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=1800, help="seconds that one scan may take")
    parser.add_argument("--patience", type=float, default=300, help="a tool that took so many seconds on a corpus runs no further round")
    parser.add_argument("--with-ripsecrets", action="store_true", help="also the fourth peer, which cargo has to compile")
    parser.add_argument("--corpora", nargs="+", choices=(*corpora.CORPORA, "stdin"), default=(*corpora.CORPORA, "stdin"))
    parser.add_argument("--tools", nargs="+", help="only these")
    parser.add_argument("--docs", type=pathlib.Path, help="folder of benchmarks.md; by default written after a complete run")
    parser.add_argument("--from", dest="earlier", type=pathlib.Path, help="results.json of an earlier run")
    return parser.parse_args()


class Bench:
    """Runs tools and keeps what each run cost."""

    def __init__(self, cache, limit, patience):
        self.cache, self.limit, self.patience = cache, limit, patience
        self.scratch = cache / "scratch"
        self.home = cache / "peers/home"       # kept, so that what a tool caches for itself is warm
        self.home.mkdir(parents=True, exist_ok=True)

    def once(self, tool, corpus, path, stdin=os.devnull):
        """One run: its costs and what the tool says it read, and where it found something."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        report, stdout, stderr, facts = (self.scratch / name for name in ("report.json", "stdout", "stderr", "facts.json"))
        command = tool.command(corpus, str(path), str(report))
        measured = [sys.executable, "-S", "-E", HERE / "measure.py", facts, stdin, stdout, stderr, str(self.limit), str(peers.THREADS)]
        subprocess.run(measured + command, check=True, cwd=self.scratch, env=peers.environment(self.home, self.cache))
        run = json.loads(facts.read_text())
        log = stderr.read_text(errors="replace")
        located = []
        if run["over_limit"]:
            run["failed"] = f"not done after {self.limit:.0f} s"
        elif run["exit"] not in tool.exits:
            run["failed"] = f"exit {run['exit']}: {log.strip()[-300:]}"
        else:
            read = tool.read(str(report), str(stdout))
            located = tool.located(read, str(stdout))
            run["findings"], run["said_bytes"] = len(located), tool.said(read, log)
        return run, located

    def corpus(self, tools, name, path, rounds, stdin=os.devnull):
        """All tools in turn, so many rounds; gives each tool's runs, or why it has none."""
        runs = {tool.name: {"runs": []} for tool in tools}
        for number in range(rounds):
            for tool in tools:
                kept = runs[tool.name]
                if "not_applicable" in kept or sum(run["wall"] for run in kept["runs"]) > self.patience:
                    continue
                try:
                    run, _ = self.once(tool, name, path, stdin)
                except peers.NotApplicable as reason:
                    kept["not_applicable"] = str(reason)
                    continue
                if "failed" in run:
                    kept["not_applicable"] = run.pop("failed")
                kept["runs"].append(run)
                if name != "stdin":
                    corpora.say(f"{name} {number + 1}/{rounds} {tool.name}: {run['cpu']:.2f} s CPU, {run['wall']:.2f} s, "
                                f"{run['peak_mib']:.0f} MiB, {run.get('findings')} findings, exit {run['exit']}")
        return {name: kept | middle(kept["runs"]) for name, kept in runs.items()}


def middle(runs):
    """Medians of the costs and the largest peak."""
    if not runs:
        return {}
    facts = {key: statistics.median(run[key] for run in runs) for key in ("wall", "user", "system", "cpu")}
    last = runs[-1]
    facts |= {"rounds": len(runs), "peak_mib": max(run["peak_mib"] for run in runs)}
    return facts | {key: last.get(key) for key in ("findings", "exit", "read_bytes", "said_bytes")}


def machine():
    """What must be known of the machine to read the figures."""
    model = platform.processor() or platform.machine()
    facts = pathlib.Path("/proc/cpuinfo")
    if facts.exists():
        names = [line for line in facts.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {"cores": os.cpu_count(), "model": model, "system": platform.system(), "load": round(os.getloadavg()[0], 1)}


def measure(options):
    """Installs, builds, runs; gives the raw results."""
    cache = options.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    tools = peers.install(cache, options.with_ripsecrets)
    if options.overdue:
        tools.insert(0, peers.Overdue(options.overdue.resolve()))
    if options.tools:
        wanted = [name.lower() for name in options.tools]
        tools = [tool for tool in tools if tool.name.lower() in wanted]
    folder, held = corpora.build(cache, options.scale, [name for name in options.corpora if name != "stdin"])
    bench = Bench(cache, options.limit, options.patience)
    results = {
        "when": datetime.date.today().isoformat(), "machine": machine(), "scale": options.scale, "rounds": options.rounds,
        "threads": peers.THREADS, "tools": {tool.name: {"version": tool.version(), "skips": tool.skips} for tool in tools},
        "corpora": {name: held[name] for name in options.corpora if name in held}, "results": {},
    }
    line = cache / "line.txt"
    line.write_text(STDIN_LINE)
    bench.corpus(tools, "stdin", "-", 1, line)          # fills what a tool caches for itself, such as compiled rules
    for name in options.corpora:
        if name == "stdin":
            results["results"][name] = bench.corpus(tools, name, "-", STARTS, line)
        else:
            results["results"][name] = bench.corpus(tools, name, folder / name, options.rounds)
    results["machine"]["load_after"] = round(os.getloadavg()[0], 1)
    shutil.rmtree(bench.scratch, ignore_errors=True)
    return results


def complete(results):
    """A run that may stand in the documents: every corpus whole, and ours among the tools."""
    return results["scale"] == 1 and tables.OURS in results["tools"] and set(results["results"]) == {*corpora.CORPORA, "stdin"}


def main():
    """Measures, or takes an earlier run; writes."""
    options = arguments_of()
    results = json.loads(options.earlier.read_text()) if options.earlier else measure(options)
    out = options.cache.resolve() / "results"
    out.mkdir(parents=True, exist_ok=True)
    if not options.earlier:
        (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    text, plot = tables.markdown(results), tables.svg(results)
    (out / "scanners.md").write_text(text)
    (out / "scanners.svg").write_text(plot)
    docs = options.docs or (PROJECT / "docs" if complete(results) else None)
    if docs:
        tables.put_into(docs / "benchmarks.md", text)
        (docs / "benchmarks").mkdir(exist_ok=True)
        (docs / "benchmarks/scanners.svg").write_text(plot)
    print(text)


if __name__ == "__main__":
    main()
