"""Plants canaries in every form, and looks for them where they must not be.

usage: canaries.py plant ENDPOINT DIR < canaries.json      (a list of {"form", "name", "text", "secret"})
       canaries.py search PATH... < canaries.json          (prints one line a hit, never the secret; exit 1 if any)

`plant` writes files below DIR and fills Lambda and S3 of the emulator at ENDPOINT; forms that only the caller can plant
(environment, git) are passed over. `search` looks at every byte of every file for each secret as it is, in base64 at each
alignment, base64url, hex, percent-encoding, HTML, JSON, UTF-16, reversed, and for every ten-byte window of it, and it
unpacks what mail wraps in base64 first.
"""
import base64
import gzip
import html
import io
import json
import pathlib
import re
import sys
import tarfile
import urllib.parse
import zipfile

import boto3
from botocore.config import Config

WINDOW = 10


def zipped(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def tarred(name, data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


FILES = {
    "plain": lambda text: text.encode(),
    "base64": lambda text: b"data:\n  value: " + base64.b64encode(text.encode()) + b"\n",
    "utf-16": lambda text: text.encode("utf-16"),
    "zip": lambda text: zipped("a.env", text.encode()),
    "tar": lambda text: tarred("a.env", text.encode()),
    "gzip": lambda text: gzip.compress(text.encode()),
    "nested": lambda text: zipped("inner.zip", zipped("deep/a.env", text.encode())),
    "binary": lambda text: bytes(range(256)) * 4 + text.encode() + bytes(range(256)),
    "log": lambda text: f"2026-01-01T00:00:00Z INFO starting with {text}\n".encode() * 2,
}


def plant(endpoint, directory, canaries):
    options = dict(endpoint_url=endpoint, region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
    functions, objects = boto3.client("lambda", **options), boto3.client("s3", **options)
    secrets, parameters = boto3.client("secretsmanager", **options), boto3.client("ssm", **options)
    iam = boto3.client("iam", **options)
    role = iam.create_role(RoleName="canary", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    objects.create_bucket(Bucket="canary-bucket")
    for canary in canaries:
        form, name, text = canary["form"], canary["name"], canary["text"]
        if form in FILES:
            path = pathlib.Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FILES[form](text + "\n"))
        elif form == "object":
            objects.put_object(Bucket="canary-bucket", Key=name, Body=(text + "\n").encode())
        elif form in ("function-code", "function-environment"):
            code = text if form == "function-code" else "pass"
            variables = dict([text.split("=", 1)]) if form == "function-environment" else {}
            if variables:      # the same in the two stores, whose values the job reads
                secrets.create_secret(Name=name, SecretString=json.dumps(variables))
                parameters.put_parameter(Name=name, Value=text, Type="SecureString")
            functions.create_function(FunctionName=name, Runtime="python3.12", Role=role, Handler="a.b", Environment={"Variables": variables},
                                      Code={"ZipFile": zipped("a.py", code.encode())})


def forms(secret):
    raw = secret.encode()
    yield "plain", raw
    for shift in range(3):
        # The characters at both ends depend on the neighbours; what is between them does not.
        yield "base64", base64.b64encode(b"\0" * shift + raw)[4:-4]
        yield "base64url", base64.urlsafe_b64encode(b"\0" * shift + raw)[4:-4]
    yield "hex", raw.hex().encode()
    yield "HEX", raw.hex().upper().encode()
    yield "percent", urllib.parse.quote(secret, safe="").encode()
    yield "html", html.escape(secret).encode()
    yield "json", json.dumps(secret)[1:-1].encode()
    yield "utf-16le", secret.encode("utf-16le")
    yield "utf-16be", secret.encode("utf-16be")
    yield "reversed", raw[::-1]
    for start in range(len(raw) - WINDOW + 1):
        yield "window", raw[start:start + WINDOW]


def unwrapped(data):
    """The bytes, and what stands in base64 blocks of whole lines, as in a mail."""
    yield data
    text = data.replace(b"\\r\\n", b"\n").replace(b"\r\n", b"\n")
    for block in re.findall(rb"(?:^[A-Za-z0-9+/=]{4,}\n)+", text, re.M):
        try:
            yield base64.b64decode(block)
        except ValueError:
            continue


def search(paths, canaries):
    known = {}
    for canary in canaries:
        for form, pattern in forms(canary["secret"]):
            known.setdefault(pattern, f"{canary['form']}/{canary['name']} as {form}")
    # Every pattern shows itself by its first ten bytes: one look-up a position, however many patterns there are.
    heads = {}
    for pattern in known:
        heads.setdefault(pattern[:WINDOW], []).append(pattern)
    hits, looked_at = 0, 0
    for top in map(pathlib.Path, paths):
        for path in [top] if top.is_file() else sorted(item for item in top.rglob("*") if item.is_file() and not item.is_symlink()):
            looked_at += 1
            for data in unwrapped(path.read_bytes()):
                there = {data[at:at + WINDOW] for at in range(len(data) - WINDOW + 1)}.intersection(heads)
                for pattern in [item for head in there for item in heads[head] if item in data]:
                    hits += 1
                    print(f"{path}: {known[pattern]}")
    print(f"{looked_at} files, {len(known)} patterns, {hits} hits")
    return hits


def main():
    canaries = json.load(sys.stdin)
    if sys.argv[1] == "plant":
        plant(sys.argv[2], sys.argv[3], canaries)
    else:
        sys.exit(1 if search(sys.argv[2:], canaries) else 0)


if __name__ == "__main__":
    main()
