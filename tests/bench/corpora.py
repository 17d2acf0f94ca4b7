"""Corpora for the benchmark of scanners, made of public packages with pinned versions and checksums. Nothing is planted.

usage: corpora.py --cache DIR [--scale 1.0] [--only NAME …]     build what is missing, print what each holds
       corpora.py --cache DIR --pin                             note the checksum of each package that has none yet

packages.json lists the packages. Which files are taken is decided by the digest of their names, so that two machines build
the same corpora and a smaller scale is a sample of the larger, of the same mix:

source     text files of Python, JavaScript, Rust, Go, JSON and documents, 1 GB
one-file   the same, one after the other in one file
small      50,000 files of less than 8 KB
history    a bare repository of 50,000 commits: successive versions of packages, one change of one file a commit
functions  300 zips: a small app with vendored dependencies, every fifth with an archive inside
"""
import argparse
import difflib
import hashlib
import io
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = HERE / "packages.json"
BUILDER = 1                        # raise it when a corpus would come out otherwise: caches are built anew
SOURCE_BYTES = 1_000_000_000
SMALL_FILES, SMALL_BYTES = 50_000, 8 * 1024
COMMITS = 50_000
FUNCTIONS = 300
LARGEST_FILE = 16 * 1024 * 1024    # generated tables beyond that are no source
HUNKS_A_CHANGE = 24                # a change of a file becomes so many commits at most
TEXT = {
    "Python": {".py", ".pyi"},
    "JavaScript": {".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx", ".vue"},
    "Rust": {".rs"},
    "Go": {".go"},
    "JSON and configuration": {".json", ".yml", ".yaml", ".toml", ".cfg", ".ini", ".xml", ".env", ".tf", ".properties"},
    "documents and web": {".md", ".rst", ".txt", ".html", ".css", ".scss", ".svg", ".csv", ".po"},
    "C, shell and others": {".c", ".h", ".cc", ".cpp", ".hpp", ".s", ".sh", ".sql", ".java", ".ps1", ".j2"},
}
LANGUAGE = {suffix: language for language, suffixes in TEXT.items() for suffix in suffixes}
CORPORA = ("source", "one-file", "small", "history", "functions")


def say(*words):
    """Tells how far the work is."""
    print(*words, file=sys.stderr, flush=True)


def order(name):
    """A place in an order that is arbitrary, but the same everywhere."""
    return hashlib.sha256(name.encode()).digest()


# --- packages ---

def run(command, **options):
    """Runs a program quietly; its own words are shown when it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout.decode(errors='replace')[-3000:]}")
    return done.stdout


def split(package):
    """`npm:lodash==1.2.3` as its three parts."""
    registry, _, rest = package.partition(":")
    name, _, version = rest.partition("==")
    return registry, name, version


def stored_as(cache, package):
    """Where the package's archive lies in the cache."""
    return cache / "packages" / (package.replace("/", "+").replace(":", "-") + ".archive")


def download(cache, package):
    """Fetches one wheel or npm tarball with the registry's own client."""
    registry, name, version = split(package)
    target = stored_as(cache, package)
    folder = cache / "downloading"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say("fetching", package)
    if registry == "pypi":
        platforms = [word for tag in ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "any") for word in ("--platform", tag)]
        run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--ignore-requires-python", *platforms,
             "-d", folder, f"{name}=={version}"])
    else:
        run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    [fetched] = folder.iterdir()
    fetched.rename(target)
    folder.rmdir()


def download_crates(cache, packages):
    """Fetches crates through cargo: a package that depends on each is vendored, and the wanted folders are packed up."""
    folder = cache / "downloading"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.rs").write_text("")
    lines = ["[package]", 'name = "corpus"', 'version = "0.0.0"', 'edition = "2021"', "[dependencies]"]
    for package in packages:
        _, name, version = split(package)
        lines.append(f'{name} = {{ version = "={version}", default-features = false }}')
    (folder / "Cargo.toml").write_text("\n".join(lines) + "\n")
    say("fetching", len(packages), "crates")
    run(["cargo", "vendor", "-q", "--versioned-dirs"], cwd=folder)
    for package in packages:
        _, name, version = split(package)
        vendored = folder / "vendor" / f"{name}-{version}"
        digest = json.loads((vendored / ".cargo-checksum.json").read_text())["package"]
        target = stored_as(cache, package)
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for path in sorted(vendored.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(vendored).as_posix())
        target.with_suffix(".sha256").write_text(digest)
    shutil.rmtree(folder)


def digest_of(cache, package):
    """What the registry's archive hashes to; of a crate, what cargo checked it against."""
    noted = stored_as(cache, package).with_suffix(".sha256")
    if noted.exists():
        return noted.read_text()
    return hashlib.sha256(stored_as(cache, package).read_bytes()).hexdigest()


def fetch(cache, packages):
    """Brings the packages that are not in the cache."""
    missing = [package for package in packages if not stored_as(cache, package).exists()]
    crates = [package for package in missing if split(package)[0] == "crate"]
    for package in missing:
        if package not in crates:
            download(cache, package)
    if crates:
        download_crates(cache, [package for package in packages if split(package)[0] == "crate"])


def checked(cache, listed, names):
    """Fetches the packages of the named lists and holds each to its noted checksum."""
    packages = [package for name in names for package in listed[name]]
    fetch(cache, packages)
    for package in packages:
        if digest_of(cache, package) != listed["sha256"].get(package):
            raise SystemExit(f"{package}: not the bytes that packages.json notes")


def pin(cache, listed):
    """Notes the checksums that are missing in packages.json."""
    for name in ("source", "history", "functions"):
        fetch(cache, listed[name])
        for package in listed[name]:
            listed["sha256"].setdefault(package, digest_of(cache, package))
    PACKAGES.write_text(json.dumps(listed, indent=1) + "\n")


def members(cache, package):
    """Every file of a package as (path, bytes), in the order of the archive."""
    path = stored_as(cache, package)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for item in archive.infolist():
                if not item.is_dir():
                    yield item.filename, archive.read(item)
    else:
        with tarfile.open(path) as archive:
            for item in archive:
                if item.isfile():
                    yield item.name.partition("/")[2], archive.extractfile(item).read()


def is_text(path, content):
    """A file of a known language that is no binary."""
    return pathlib.PurePosixPath(path).suffix.lower() in LANGUAGE and 0 < len(content) <= LARGEST_FILE and b"\0" not in content[:8192]


def safe(path):
    """No way out of the folder, no name the file system refuses."""
    parts = pathlib.PurePosixPath(path).parts
    return ".." not in parts and not path.startswith("/") and all(len(part.encode()) < 200 for part in parts)


# --- trees ---

def text_files(cache, packages):
    """Every text file of the packages, as (package, path, bytes); of equal files the first."""
    seen = set()
    for package in packages:
        for path, content in members(cache, package):
            if safe(path) and is_text(path, content):
                digest = hashlib.sha256(content).digest()
                if digest not in seen:
                    seen.add(digest)
                    yield package, path, content


def place_of(package, path):
    """Where a package's file lies in a tree."""
    registry, name, version = split(package)
    return f"{registry}/{name.replace('/', '+')}-{version}/{path}"


def first_by_digest(sizes, largest, bytes_wanted=None, files_wanted=None):
    """The files that come first in the digest order, until enough bytes or files are there."""
    chosen, total = set(), 0
    for name in sorted((name for name, size in sizes.items() if size < largest), key=order):
        if (bytes_wanted and total >= bytes_wanted) or (files_wanted and len(chosen) >= files_wanted):
            break
        chosen.add(name)
        total += sizes[name]
    return chosen


def build_trees(cache, listed, folder, scale, wanted):
    """The source tree and the small files, in one pass to choose and one to write."""
    sizes = {place_of(package, path): len(content) for package, path, content in text_files(cache, listed["source"])}
    say(f"{len(sizes)} text files of {sum(sizes.values()) / 1e6:.0f} MB to choose from")
    choices = {
        "source": first_by_digest(sizes, LARGEST_FILE + 1, bytes_wanted=SOURCE_BYTES * scale),
        "small": first_by_digest(sizes, SMALL_BYTES, files_wanted=int(SMALL_FILES * scale)),
    }
    choices = {name: chosen for name, chosen in choices.items() if name in wanted}
    for package, path, content in text_files(cache, listed["source"]):
        place = place_of(package, path)
        for name, chosen in choices.items():
            if place in chosen:
                target = folder / name / place
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)


def build_one_file(folder):
    """The source tree's files one after the other."""
    (folder / "one-file").mkdir(parents=True)
    with (folder / "one-file/everything.txt").open("wb") as out:
        for path in sorted((folder / "source").rglob("*")):
            if path.is_file():
                out.write(path.read_bytes().rstrip(b"\n") + b"\n")


# --- history ---

def versions(listed):
    """The packages of the history, each with its versions in the order of the list."""
    packages = {}
    for package in listed["history"]:
        registry, name, _ = split(package)
        packages.setdefault((registry, name), []).append(package)
    return packages


def by_hunks(before, after):
    """The contents on the way from one to the other, a few hunks at a time; the last is `after`."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if not old or len(old) + len(new) > 6000:
        return [after]
    changes = [code for code in difflib.SequenceMatcher(None, old, new, autojunk=True).get_opcodes() if code[0] != "equal"]
    step = max(1, -(-len(changes) // HUNKS_A_CHANGE))
    stages = []
    for end in range(step, len(changes), step):
        done = changes[:end]
        lines, at = [], 0
        for _, old_from, old_to, new_from, new_to in done:
            lines += old[at:old_from] + new[new_from:new_to]
            at = old_to
        stages.append(b"".join(lines + old[at:]))
    return stages + [after]


def edits_between(before, after):
    """The edits that make one version of a package the next: (path, content), content None for a file that went."""
    for path in sorted(set(before) | set(after), key=order):
        if path not in after:
            yield path, None
        elif before.get(path) != after[path]:
            for content in by_hunks(before.get(path, b""), after[path]):
                yield path, content


def package_edits(cache, name, packages):
    """All edits of one package, from its first version to its last, a file that is new whole in one edit."""
    before = {}
    for package in packages:
        after = {f"{name}/{path}": content for path, content in members(cache, package)
                 if safe(path) and is_text(path, content) and len(content) < 400_000 and ".dist-info/" not in path}
        for path, content in edits_between(before, after):
            yield package, path, content
        before = after


def write_commit(out, number, message, path, content):
    """One commit with one edit, as git fast-import reads it."""
    who = f"Developer {number * 7919 % 41} <developer{number * 7919 % 41}@example.org>"
    when = 1_400_000_000 + number * 600
    text = message.encode()
    out.write(f"commit refs/heads/main\nauthor {who} {when} +0000\ncommitter {who} {when} +0000\ndata {len(text)}\n".encode() + text)
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if content is None:
        out.write(f"\nD {quoted}\n".encode())
    else:
        out.write(f"\nM 100644 inline {quoted}\ndata {len(content)}\n".encode() + content + b"\n")


def build_history(cache, listed, folder, scale):
    """Packages take turns, a run of edits each, until there are enough commits; a tag every 500, a branch every 2,000."""
    repository = folder / "history"
    run(["git", "init", "-q", "--bare", "-b", "main", repository])
    importer = subprocess.Popen(["git", "-C", str(repository), "fast-import", "--quiet", "--force"], stdin=subprocess.PIPE)
    turns = [package_edits(cache, name.replace("/", "+"), packages) for (_, name), packages in versions(listed).items()]
    rng = random.Random(3)
    commits = 0
    while turns and commits < COMMITS * scale:
        turn = turns[rng.randrange(len(turns))]
        for _ in range(rng.randrange(5, 60)):
            edit = next(turn, None)
            if edit is None:
                turns.remove(turn)
                break
            package, path, content = edit
            commits += 1
            write_commit(importer.stdin, commits, f"{package}: {path.rpartition('/')[2]}", path, content)
            if commits % 500 == 0:
                importer.stdin.write(f"reset refs/tags/v{commits // 500}\nfrom refs/heads/main\n\n".encode())
            if commits % 2000 == 0:
                importer.stdin.write(f"reset refs/heads/release-{commits // 2000}\nfrom refs/heads/main\n\n".encode())
    importer.stdin.close()
    if importer.wait():
        raise SystemExit("git fast-import failed")
    say(f"{commits} commits; packing")
    run(["git", "-C", repository, "-c", "pack.threads=2", "repack", "-a", "-d", "-f", "-q", "--window=10", "--depth=50"])


# --- functions ---

APP_PYTHON = '''"""{title}: handles one event."""
import json
import logging
import os

TABLE = os.environ.get("TABLE", "{table}")
LOG = logging.getLogger(__name__)


def handler(event, context):
    """Reads the event, answers with its {noun}s."""
    LOG.info("request %s", context.aws_request_id)
    items = [item for item in event.get("{noun}s", []) if item.get("id")]
    return {{"statusCode": 200, "body": json.dumps({{"table": TABLE, "items": items, "limit": {limit}}})}}
'''
APP_JAVASCRIPT = '''// {title}: handles one event.
const table = process.env.TABLE || "{table}";

exports.handler = async (event, context) => {{
  console.log("request", context.awsRequestId);
  const items = (event.{noun}s || []).filter((item) => item.id);
  return {{ statusCode: 200, body: JSON.stringify({{ table, items, limit: {limit} }}) }};
}};
'''
NOUNS = ("order", "invoice", "customer", "shipment", "payment", "ticket", "device", "report", "session", "image")


def app(rng, number, registry):
    """A small app's own files."""
    noun = rng.choice(NOUNS)
    facts = {"title": f"{noun} service {number}", "table": f"{noun}s-{number}", "noun": noun, "limit": rng.randrange(10, 500)}
    config = {"service": facts["title"], "region": "eu-west-1", "retries": rng.randrange(1, 9), "table": facts["table"]}
    main = {"handler.py": APP_PYTHON} if registry == "pypi" else {"index.js": APP_JAVASCRIPT}
    files = {name: text.format(**facts).encode() for name, text in main.items()}
    files["config.json"] = json.dumps(config, indent=2).encode()
    files["README.md"] = f"# {facts['title']}\n\nReads `{noun}s` from the table `{facts['table']}`.\n".encode()
    return files


def bundle(files, compressed=True):
    """Files as a zip with fixed dates."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for path, content in files.items():
            item = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))
            item.compress_type = archive.compression
            archive.writestr(item, content)
    return out.getvalue()


def vendored(contents, package, layout):
    """A package's files where a bundle of that layout has them."""
    _, name, _ = split(package)
    folder = {"root": "", "site-packages": "python/lib/python3.12/site-packages/", "node_modules": f"node_modules/{name}/"}[layout]
    return {folder + path: content for path, content in contents[package]}


def build_functions(cache, listed, folder, scale):
    """Each zip is one app with some of the packages; every fifth carries part of them as an archive inside."""
    (folder / "functions").mkdir(parents=True)
    pools = {}
    for package in listed["functions"]:
        pools.setdefault(split(package)[0], []).append(package)
    contents = {package: list(members(cache, package)) for pool in pools.values() for package in pool}
    unpacked = 0
    for number in range(max(5, int(FUNCTIONS * scale))):
        rng = random.Random(f"function {number}")
        registry = ("pypi", "npm")[number % 2]
        layout = "node_modules" if registry == "npm" else ("root", "site-packages")[number // 2 % 2]
        by_name = {}
        for package in rng.sample(pools[registry], rng.randrange(4, 9)):
            by_name[split(package)[1]] = package
        files = app(rng, number, registry)
        inner = {}
        for place, package in enumerate(by_name.values()):
            (inner if number % 5 == 4 and place == 0 else files).update(vendored(contents, package, layout))
        unpacked += sum(map(len, files.values())) + sum(map(len, inner.values()))
        if inner:
            files["lib/dependencies.zip"] = bundle(inner)
        (folder / "functions" / f"function-{number:03}.zip").write_bytes(bundle(files))
    return unpacked


# --- what was built ---

def facts_of_tree(folder):
    """Files, bytes, bytes by language, and a digest over names and contents."""
    digest, files, total, languages = hashlib.sha256(), 0, 0, {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
            files, total = files + 1, total + len(content)
            language = LANGUAGE.get(path.suffix.lower(), "other")
            languages[language] = languages.get(language, 0) + len(content)
    return {"files": files, "bytes": total, "languages": languages, "sha256": digest.hexdigest()}


def facts_of_history(repository):
    """Commits, blobs and their bytes, and the head that names them all."""
    def git(*words):
        return run(["git", "-C", repository, *words])
    kinds = [line.split() for line in git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectsize)").splitlines()]
    blobs = [int(size) for kind, size in kinds if kind == b"blob"]
    packed = sum(path.stat().st_size for path in repository.rglob("*.pack"))
    return {"commits": int(git("rev-list", "--all", "--count")), "blobs": len(blobs), "bytes": sum(blobs), "packed": packed,
            "head": git("rev-parse", "main").decode().strip()}


def facts_of(folder, name, unpacked):
    """What a corpus holds; `bytes` is what a scanner that skips nothing reads."""
    if name == "history":
        return facts_of_history(folder / name)
    facts = facts_of_tree(folder / name)
    if name == "functions":
        facts = {"files": facts["files"], "packed": facts["bytes"], "bytes": unpacked, "sha256": facts["sha256"]}
    return facts


def stamp(listed, name):
    """Changes when a corpus would be built otherwise."""
    of = {"one-file": "source", "small": "source"}.get(name, name)
    return hashlib.sha256(json.dumps([BUILDER, listed[of]]).encode()).hexdigest()[:16]


def build(cache, scale, wanted=CORPORA):
    """Builds the corpora that are missing; gives the folder and what each corpus holds."""
    listed = json.loads(PACKAGES.read_text())
    folder = cache / "corpora" / f"scale-{scale:g}"
    folder.mkdir(parents=True, exist_ok=True)
    noted = folder / "corpora.json"
    known = json.loads(noted.read_text()) if noted.exists() else {}
    wanted = [name for name in CORPORA if name in wanted or (name == "source" and "one-file" in wanted)]
    missing = [name for name in wanted if known.get(name, {}).get("stamp") != stamp(listed, name)]
    for name in missing:
        shutil.rmtree(folder / name, ignore_errors=True)
    trees = [name for name in missing if name in ("source", "small")]
    for name in missing:
        start, unpacked = time.monotonic(), 0
        if name in trees and not (folder / name).exists():
            checked(cache, listed, ["source"])
            build_trees(cache, listed, folder, scale, trees)
        elif name == "one-file":
            build_one_file(folder)
        elif name == "history":
            checked(cache, listed, ["history"])
            build_history(cache, listed, folder, scale)
        elif name == "functions":
            checked(cache, listed, ["functions"])
            unpacked = build_functions(cache, listed, folder, scale)
        known[name] = facts_of(folder, name, unpacked) | {"stamp": stamp(listed, name)}
        noted.write_text(json.dumps(known, indent=1) + "\n")
        say(f"{name}: built in {time.monotonic() - start:.0f} s")
    return folder, {name: known[name] for name in wanted}


def main():
    """Builds and tells, or pins."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=CORPORA, default=CORPORA)
    parser.add_argument("--pin", action="store_true")
    arguments = parser.parse_args()
    cache = arguments.cache.resolve()
    if arguments.pin:
        pin(cache, json.loads(PACKAGES.read_text()))
    else:
        _, facts = build(cache, arguments.scale, arguments.only)
        print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
