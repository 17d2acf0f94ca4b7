"""Git repositories with credentials in their past, and some that are odd, broken or hostile.

The git binary makes them, with fixed names and dates, so that commits have the same ids for the same seed.
"""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import zlib

import tokens
from world import source, written

AUTHORS = [("Ada Example", "ada@acme.example"), ("Bo Example", "bo@acme.example"), ("Cy Example", "cy@partner.example")]
EPOCH = 1_700_000_000  # 2023-11-14; each commit is a day after the one before


class Repo:
    """A repository being written: files in, commits out."""

    def __init__(self, path, *options):
        self.path, self.day = path, 0
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", *options)
        # Without reflogs, a deleted branch leaves objects that nothing reaches.
        self.git("config", "core.logAllRefUpdates", "false")
        self.git("config", "gc.auto", "0")

    def git(self, *arguments):
        return git(self.path, *arguments, day=self.day)

    def write(self, name, content):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message, files=None, gone=()):
        """Commits these files and nothing else; returns what a report says of the commit."""
        self.day += 1
        for name, content in (files or {}).items():
            self.write(name, content)
            self.git("add", "--", name)
        for name in gone:
            self.git("rm", "-q", "--", name)
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head()

    def head(self, revision="HEAD"):
        commit, name, mail, date = self.git("log", "-1", "--format=%H%n%an%n%ae%n%aI", revision).splitlines()
        return {"commit": commit, "author": f"{name} <{mail}>", "date": date}


def git(where, *arguments, day=0):
    name, mail = AUTHORS[day % len(AUTHORS)]
    date = f"{EPOCH + day * 86400} +0000"
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
                   "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail, "GIT_AUTHOR_DATE": date,
                   "GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail, "GIT_COMMITTER_DATE": date}
    done = subprocess.run(["git", "-C", str(where), *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"git {arguments[0]} in {where}: {done.stderr.strip()}")
    return done.stdout


def seed_repos(answers, rng, root, real_pair):
    """Five repositories under `root`. `real_pair`: a Planted of a key that exists in an account."""
    def note(repo, planted, path, line, commit, also=(), **more):
        answers.detection(planted, f"git:{repo.path}", path=path, line=line, also=also, **commit, **more)

    make = lambda rule: tokens.make(rule, rng)
    shared = make("github.pat")

    # payments: every way in which a credential outlives its removal
    repo = Repo(root / "payments")
    repo.commit("Start", tokens.noise_files(rng, 4))
    stripe = make("stripe.secret-key")
    text, line = source(rng, stripe)
    commit = repo.commit("Configure payments", {"config/settings.py": text})
    note(repo, stripe, "config/settings.py", line, commit)
    repo.commit("Read the key from the environment", {"config/settings.py": "import os\n\nKEY = os.environ['KEY']\n"})
    repo.git("checkout", "-q", "-b", "experiment")
    slack = make("slack.bot-token")
    text, line = source(rng, slack, "js")
    commit = repo.commit("Try notifications", {"notify.js": text})
    note(repo, slack, "notify.js", line, commit, how="deleted branch")
    repo.git("checkout", "-q", "main")
    repo.git("branch", "-q", "-D", "experiment")
    repo.git("checkout", "-q", "--detach")
    digitalocean = make("digitalocean.pat")
    text, line = source(rng, digitalocean, "yaml")
    commit = repo.commit("Release 0.1", {"deploy/values.yaml": text})
    note(repo, digitalocean, "deploy/values.yaml", line, commit, how="tag only")
    repo.git("tag", "-a", "v0.1", "-m", "0.1")
    repo.git("checkout", "-q", "main")
    anthropic = make("anthropic.api-key")
    text, line = source(rng, anthropic)
    repo.write("config/settings.py", text)
    repo.git("stash", "-q")
    note(repo, anthropic, "config/settings.py", line, repo.head("stash@{0}"), how="stash")
    text, line = source(rng, shared, "env")
    repo.write(".env", text)
    answers.detection(shared, f"file:{repo.path}/.env", line=line, how="not committed")

    # infra: a file under two names, and bytes that are no text
    repo = Repo(root / "infra")
    repo.commit("Start", tokens.noise_files(rng, 3))
    text, line = source(rng, real_pair)
    commit = repo.commit("Provider", {"terraform/main.tf": text})
    repo.day += 1
    (repo.path / "live").mkdir()
    repo.git("mv", "terraform/main.tf", "live/main.tf")
    repo.commit("Move to live")
    note(repo, real_pair, "terraform/main.tf", line, commit, how="renamed",
         also=[f"git:{repo.path}!/live/main.tf", f"file:{repo.path}/live/main.tf"])
    hugging = make("huggingface.token")
    commit = repo.commit("Cache the model", {"assets/model.bin": binary_around(rng, hugging)})
    note(repo, hugging, "assets/model.bin", None, commit, also=[f"file:{repo.path}/assets/model.bin"])

    # webshop: packed, with packed refs; and the token of payments once more
    repo = Repo(root / "webshop")
    repo.commit("Start", tokens.noise_files(rng, 5))
    shopify = make("shopify.access-token")
    text, line = source(rng, shopify, "env")
    commit = repo.commit("Shop access", {"shop/.env": text})
    note(repo, shopify, "shop/.env", line, commit)
    repo.commit("Keep .env out", {".gitignore": ".env\n"}, gone=["shop/.env"])
    repo.git("checkout", "-q", "-b", "release/2024")
    text, line = source(rng, shared, "yaml")
    commit = repo.commit("CI", {"ci/values.yaml": text})
    note(repo, shared, "ci/values.yaml", line, commit)
    repo.commit("CI without token", {"ci/values.yaml": "github_pat: ${GITHUB_TOKEN}\n"})
    repo.git("checkout", "-q", "main")
    repo.commit("More", {"README.md": "# Webshop\n"})
    repo.git("pack-refs", "--all")
    repo.git("gc", "-q", "--prune=now")

    # notebooks: encoded content, a key file, a merge
    repo = Repo(root / "notebooks")
    repo.commit("Start", tokens.noise_files(rng, 2))
    openai = make("openai.api-key")
    cell = base64.b64encode(written(openai, "py").encode()).decode()
    notebook = json.dumps({"cells": [{"cell_type": "code", "outputs": [{"data": {"text/plain": cell}}]}], "nbformat": 4}, indent=1)
    line = notebook[:notebook.index(cell)].count("\n") + 1
    commit = repo.commit("Explore", {"explore.ipynb": notebook})
    note(repo, openai, "explore.ipynb", line, commit, how="base64", also=[f"file:{repo.path}/explore.ipynb"])
    repo.git("checkout", "-q", "-b", "side")
    key = make("private-key.pem")
    commit = repo.commit("Sign", {"keys/signer.pem": key.text})
    note(repo, key, "keys/signer.pem", 1, commit)
    repo.commit("Do not sign", gone=["keys/signer.pem"])
    repo.git("checkout", "-q", "main")
    repo.commit("Main goes on", {"notes.md": "notes\n"})
    repo.day += 1
    repo.git("merge", "-q", "--no-ff", "-m", "Merge side", "side")

    # docs: nothing at all
    repo = Repo(root / "docs")
    for number in range(4):
        repo.commit(f"Page {number}", {f"page{number}/{name}": text for name, text in tokens.noise_files(rng).items()})
    answers.clean.append(f"git:{repo.path}")


def binary_around(rng, planted):
    """The credential between bytes that are no text, as a strings table has it."""
    return b"\x7fELF\x02\x01\x01\x00" + rng.randbytes(3000) + b"\x00" + planted.text.encode() + b"\x00" + rng.randbytes(3000)


def seed_odd_repos(answers, rng, root, sentinel):
    """Repositories a reader must survive. What is found in them is listed apart, as `odd` in the answers."""
    root.mkdir(parents=True)
    make = lambda rule: tokens.make(rule, rng)

    def with_secret(path, planted, *options):
        repo = Repo(path, *options)
        repo.commit("Start", {"README.md": "# Odd\n"})
        text, line = source(rng, planted)
        commit = repo.commit("Add", {"settings.py": text})
        answers.detection(planted, f"git:{path}", path="settings.py", line=line, **commit)
        return repo

    def removed(repo):
        repo.commit("Remove", gone=["settings.py"])
        return repo

    source_of_bare = removed(with_secret(root / "plain", make("gitlab.pat")))
    git(root, "clone", "-q", "--bare", str(source_of_bare.path), "bare.git")
    again(answers, "plain", "bare.git")

    git(root, "clone", "-q", "--shared", str(source_of_bare.path), "alternates")  # has no objects of its own
    again(answers, "plain", "alternates")

    history = with_secret(root / "long", make("npm.access-token"))
    git(root, "clone", "-q", "--depth", "1", f"file://{history.path}", "shallow")
    again(answers, "long", "shallow")
    answers.gaps.append({"artifact": f"git:{root}/shallow", "why": "shallow"})

    # The branch exists only in the linked worktree's checkout, its objects in the main repository.
    main = with_secret(root / "worktree-main", make("sendgrid.api-key"))
    main.git("worktree", "add", "-q", "-b", "side", str(root / "worktree-linked"))
    again(answers, "worktree-main", "worktree-linked")

    removed(with_secret(root / "sha256", make("pypi.upload-token"), "--object-format=sha256"))

    (root / "empty").mkdir()
    git(root / "empty", "init", "-q", "-b", "main")

    broken = Repo(root / "broken-pack")
    for number in range(5):
        broken.commit(f"Change {number}", {f"file{number}": rng.randbytes(4000)})
    broken.git("gc", "-q", "--prune=now")
    for pack in (broken.path / ".git/objects/pack").glob("*.pack"):
        pack.chmod(0o644)
        os.truncate(pack, pack.stat().st_size // 2)
    answers.gaps.append({"artifact": f"git:{broken.path}", "why": "corrupt"})

    half = Repo(root / "half-cloned")   # interrupted: refs say what no object backs
    half.commit("Start", {"a": "a"})
    shutil.rmtree(half.path / ".git/objects")
    (half.path / ".git/objects").mkdir()
    answers.gaps.append({"artifact": f"git:{half.path}", "why": "corrupt"})

    (root / "broken-gitfile").mkdir()
    (root / "broken-gitfile/.git").write_text("gitdir: /nonexistent/overdue-test\n")
    answers.gaps.append({"artifact": f"git:{root}/broken-gitfile", "why": "corrupt"})

    bomb = Repo(root / "zlib-bomb")     # 64 MiB of zeros in 64 KiB, as a loose object that nothing reaches
    bomb.commit("Start", {"a": "a"})
    body = b"blob %d\x00" % (64 << 20) + bytes(64 << 20)
    name = hashlib.sha1(body).hexdigest()
    (bomb.path / f".git/objects/{name[:2]}").mkdir(exist_ok=True)
    (bomb.path / f".git/objects/{name[:2]}/{name[2:]}").write_bytes(zlib.compress(body, 1))

    hostile(with_secret(root / "hostile", make("telegram.bot-token")), sentinel)


def again(answers, of, clone):
    """The clone holds what the original holds."""
    root = next(d["artifact"] for d in answers.detections if d["artifact"].endswith("/" + of)).removesuffix(of)
    answers.detections += [d | {"artifact": root + clone} for d in answers.detections if d["artifact"] == root + of]


def hostile(repo, sentinel):
    """A repository that would write `sentinel` if any of its configuration, hooks, filters or submodules were obeyed."""
    run = f"touch '{sentinel}'"
    (repo.path / "passwd").symlink_to("/etc/passwd")
    (repo.path / "loop").symlink_to(".")
    repo.write(".gitattributes", "* filter=evil diff=evil merge=evil\n")
    repo.write(".gitmodules", f'[submodule "evil"]\n\tpath = evil\n\turl = ext::sh -c "{run}"\n\tupdate = !{run}\n')
    repo.git("add", "passwd", "loop", ".gitattributes", ".gitmodules")
    repo.git("commit", "-q", "-m", "Traps")
    for hook in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction", "fsmonitor-watchman", "post-merge",
                 "pre-auto-gc", "post-rewrite", "pre-push"):
        file = repo.path / ".git/hooks" / hook
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{run}\n")
        file.chmod(0o755)
    # Written, not set through git: git itself would begin to obey it.
    config = repo.path / ".git/config"
    config.write_text(config.read_text() + f"""
[core]
\tfsmonitor = "{run}"
\tsshCommand = "{run}"
\teditor = "{run}"
\tpager = "{run}"
\tgitProxy = "{run}"
\taskPass = "{run}"
\tattributesFile = /etc/passwd
[filter "evil"]
\tclean = "{run}"
\tsmudge = "{run}"
\tprocess = "{run}"
\trequired = true
[diff]
\texternal = "{run}"
[diff "evil"]
\ttextconv = "{run}"
\tcommand = "{run}"
[merge "evil"]
\tdriver = "{run}"
[credential]
\thelper = "!{run}"
[gpg]
\tprogram = "{run}"
[uploadpack]
\tpackObjectsHook = "{run}"
[remote "origin"]
\turl = ext::sh -c "{run}"
\tuploadpack = "{run}"
\tpromisor = true
\tpartialclonefilter = blob:none
[submodule "evil"]
\turl = ext::sh -c "{run}"
\tupdate = "!{run}"
[alias]
\tstatus = "!{run}"
\tlog = "!{run}"
[protocol "ext"]
\tallow = always
""")
