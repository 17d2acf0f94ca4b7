"""Reads a seeded world back as an audit would, and holds answers.json to it. A check of the tests' own ground.

usage: verify_answers.py --endpoint URL --out DIR

It goes in by DIR/ambient.json and the audit roles, knows patterns of its own, and compares digests: no secret is printed.
Three things must hold: each planted credential is where the answers say; nowhere else is anything that looks like one;
dates, last uses and states of the inventory are those of the API.
"""
import argparse
import base64
import binascii
import csv
import gzip
import io
import json
import pathlib
import re
import subprocess
import tarfile
import urllib.request
import zipfile
from collections import defaultdict

import boto3
import zstandard
from botocore.config import Config

from tokens import checksum
from world import rfc3339, sha256

STRICT = {  # patterns that noise cannot meet
    "github.pat": r"ghp_[0-9A-Za-z]{36}", "github.fine-grained-pat": r"github_pat_\w{82}", "gitlab.pat": r"glpat-[\w-]{20}",
    "slack.bot-token": r"xoxb-\d{12}-\d{13}-[0-9A-Za-z]{24}", "slack.webhook": r"https://hooks\.slack\.com/services/T\w+/B\w+/\w{24}",
    "stripe.secret-key": r"sk_live_\w{24}", "sendgrid.api-key": r"SG\.\w{22}\.\w{43}", "npm.access-token": r"npm_[0-9A-Za-z]{36}",
    "pypi.upload-token": r"pypi-AgEIcHlwaS5vcmc[\w-]{80,}", "openai.api-key": r"sk-proj-[\w-]{74}T3BlbkFJ[\w-]{74}",
    "anthropic.api-key": r"sk-ant-api03-[\w-]{93}AA", "google.api-key": r"AIza[\w-]{35}", "digitalocean.pat": r"dop_v1_[0-9a-f]{64}",
    "huggingface.token": r"hf_[A-Za-z]{34}", "telegram.bot-token": r"\d{10}:AA[\w-]{33}", "shopify.access-token": r"shpat_[0-9a-f]{32}",
    "private-key.pem": r"-----BEGIN PRIVATE KEY-----[\w+/=\s]+-----END PRIVATE KEY-----",
    "azure.storage-account-key": r"(?<=AccountKey=)[\w+/]{86}==", "database.url": r"postgres://\w+:\w{20}@[^\s\"]+"}
LOOSE = {"aws.access-key": r"[\w+/]{40}", "aws.access-key-id": r"AKIA[A-Z2-7]{16}", "generic.assignment": r"\w{28,32}"}
KEY_ID = re.compile(r"(?<![A-Z0-9])AKIA[A-Z2-7]{16}(?![A-Z0-9])")


def texts_of(data):
    """The readings of some bytes: as they are, UTF-16, and what is base64 in them."""
    plain = data.decode("utf-16" if data[:2] == b"\xff\xfe" else "latin-1")
    yield plain
    if "\\n" in plain:
        yield plain.replace("\\n", "\n")           # JSON's line breaks
    for word in re.findall(r"[A-Za-z0-9+/]{40,}={0,2}", plain):
        try:
            yield base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode("latin-1")
        except binascii.Error:
            pass


def files_in(data, path=""):
    """(path, bytes) of all that bytes hold, archives opened."""
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inner = [(name, archive.read(name)) for name in archive.namelist()]
    elif data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
        if data[257:262] != b"ustar":
            yield from files_in(data, path)
            return
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            inner = [(entry.name, archive.extractfile(entry).read()) for entry in archive]
    elif data[:4] == b"\x28\xb5\x2f\xfd":
        yield from files_in(zstandard.decompress(data, 1 << 26), path)
        return
    else:
        yield path, data
        return
    for name, content in inner:
        yield from files_in(content, f"{path}!/{name}" if path else name)


def secrets_in(data, rules):
    """{(rule, digest): line in the plain text, or None}"""
    found = {}
    for n, text in enumerate(texts_of(data)):
        for rule, pattern in rules.items():
            for match in re.finditer(pattern, text):
                if rule == "github.pat" and checksum(match.group()[4:34]) != match.group()[34:]:
                    continue
                line = text.count("\n", 0, match.start()) + 1 if n == 0 else None
                found.setdefault((rule, sha256(match.group())), line)
    return found


class Reader:
    """Every place of the world, read as the audit role. `places`: artifact -> {path or None: bytes}"""

    def __init__(self, endpoint, out, answers):
        self.endpoint, self.answers, self.places, self.unread = endpoint, answers, {}, []
        ambient = json.loads((out / "ambient.json").read_text())
        self.own = {"aws_access_key_id": ambient["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": ambient["AWS_SECRET_ACCESS_KEY"],
                    "aws_session_token": ambient["AWS_SESSION_TOKEN"]}
        self.sessions = {}
        for account in answers["accounts"]:
            more = {"ExternalId": answers["external_id"]} if answers["external_id"] else {}
            got = self.client("sts", self.own).assume_role(RoleArn=f"arn:aws:iam::{account['id']}:role/{answers['role']}",
                                                           RoleSessionName="verify", **more)["Credentials"]
            self.sessions[account["id"]] = {"aws_access_key_id": got["AccessKeyId"], "aws_secret_access_key": got["SecretAccessKey"],
                                            "aws_session_token": got["SessionToken"]}

    def client(self, service, session, region="us-east-1"):
        return boto3.client(service, endpoint_url=self.endpoint, region_name=region, **session,
                            config=Config(s3={"addressing_style": "path"}))

    def read_account(self, account, regions):
        session = self.sessions[account]
        for region in regions:
            client = self.client("lambda", session, region)
            layers, codes = set(), {}
            names = [f["FunctionName"] for page in client.get_paginator("list_functions").paginate() for f in page["Functions"]]
            for name in names:
                for function in client.list_versions_by_function(FunctionName=name)["Versions"]:
                    place = f"{account} {region} function/{function['FunctionName']}/{function['Version']}"
                    self.places[f"{place}/environment"] = {
                        name: value.encode() for name, value in function.get("Environment", {}).get("Variables", {}).items()}
                    if function["CodeSha256"] not in codes:
                        url = client.get_function(FunctionName=function["FunctionName"], Qualifier=function["Version"])["Code"]["Location"]
                        codes[function["CodeSha256"]] = dict(files_in(urllib.request.urlopen(url).read()))
                    self.places[f"{place}/code"] = codes[function["CodeSha256"]]
                    layers |= {layer["Arn"] for layer in function.get("Layers", [])}
            for arn in layers:
                url = client.get_layer_version_by_arn(Arn=arn)["Content"]["Location"]
                self.places[f"{account} {region} layer/{arn}"] = dict(files_in(urllib.request.urlopen(url).read()))
        client = self.client("s3", session)
        for bucket in client.list_buckets()["Buckets"]:
            name = bucket["Name"]
            region = client.get_bucket_location(Bucket=name)["LocationConstraint"] or "us-east-1"
            for version in client.list_object_versions(Bucket=name).get("Versions", []):
                place = f"s3://{name}/{version['Key']}" + ("" if version["IsLatest"] else f"?versionId={version['VersionId']}")
                if version["StorageClass"] == "GLACIER":
                    self.unread.append(place)
                elif ".." in version["Key"]:
                    pass                              # boto3 cannot ask for it; the product must
                else:
                    which = {} if version["VersionId"] == "null" else {"VersionId": version["VersionId"]}
                    data = client.get_object(Bucket=name, Key=version["Key"], **which)["Body"].read()
                    self.places[f"{account} {region} {place}"] = {path or None: content for path, content in files_in(data)}

    def read_repositories(self, root):
        for repo in sorted(path for path in root.iterdir() if path.is_dir()):
            listed = subprocess.run(["git", "-C", repo, "cat-file", "--batch-all-objects", "--batch-check"], capture_output=True, text=True)
            blobs = [line.split()[0] for line in listed.stdout.splitlines() if " blob " in line]
            contents = [subprocess.run(["git", "-C", repo, "cat-file", "blob", blob], capture_output=True).stdout for blob in blobs]
            self.places[f"None None git:{repo}"] = {f"blob {n}": content for n, content in enumerate(contents)}
            for file in repo.rglob("*"):
                if file.is_file() and ".git" not in file.relative_to(repo).parts:
                    self.places[f"None None file:{file}"] = {None: file.read_bytes()}


def check_detections(reader, answers):
    problems, expected = [], defaultdict(set)
    for detection in answers["detections"]:
        where = f"{detection['account']} {detection['region']} "
        for artifact in [detection["artifact"], *detection["also"]]:
            if ".git" not in artifact and "!/" in artifact:   # the other name of a renamed file
                continue
            expected[where + artifact].add(detection["secret_sha256"])
            if "../" in artifact:
                continue
            held = reader.places.get(where + artifact)
            if held is None:
                problems.append(f"no such place: {artifact}")
                continue
            if artifact.startswith("git:"):
                commit = f"{detection['commit']}:{detection['path']}"
                contents = [subprocess.run(["git", "-C", artifact[4:], "show", commit], capture_output=True).stdout]
            elif artifact.endswith("/environment"):
                contents = list(held.values())        # a pair stands in two variables
            else:
                contents = [held.get(detection["path"] if detection["artifact"] == artifact or "/code" in artifact else None, b"")]
            rules = {detection["rule"]: (STRICT | LOOSE | {"gcp.service-account-key": STRICT["private-key.pem"]})[detection["rule"]]}
            lines = [line for content in contents for (_, digest), line in secrets_in(content, rules).items()
                     if digest == detection["secret_sha256"]]
            if not lines:
                problems.append(f"not found: {detection['rule']} in {artifact} {detection['path']}")
            # The secret of a pair stands in the line after the id's; a service account's and encoded ones have no line here.
            elif detection["line"] and lines[0] and lines[0] not in (detection["line"], detection["line"] + 1):
                problems.append(f"line {lines[0]}, not {detection['line']}: {artifact} {detection['path']}")
    public_ids = {detection["public_id"] for detection in answers["detections"]}
    for place, held in reader.places.items():
        for path, content in held.items():
            for rule, digest in secrets_in(content, STRICT):
                if digest not in expected[place]:
                    problems.append(f"not in the answers: {rule} in {place} {path}")
            for key_id in KEY_ID.findall(content.decode("latin-1")):
                if key_id not in public_ids and not key_id.endswith("EXAMPLE"):
                    problems.append(f"not in the answers: {key_id} in {place} {path}")
    names = {place.split(" ", 2)[2] for place in reader.places}
    problems += [f"clean place missing: {place}" for place in answers["clean"] if place not in names and "layer" not in place]
    problems += [f"could be read: {gap['artifact']}" for gap in answers["gaps"] if gap["artifact"] not in reader.unread]
    return problems


def check_accounts(reader, answers):
    """Names, addresses, tags and security contacts, as the organization has them."""
    organizations, seen = reader.client("organizations", reader.own), []
    for account in (a for page in organizations.get_paginator("list_accounts").paginate() for a in page["Accounts"]):
        tags = {tag["Key"]: tag["Value"] for tag in organizations.list_tags_for_resource(ResourceId=account["Id"])["Tags"]}
        contacts, client = {}, reader.client("account", reader.sessions[account["Id"]])
        try:
            contacts["SECURITY"] = client.get_alternate_contact(AlternateContactType="SECURITY")["AlternateContact"]["EmailAddress"]
        except client.exceptions.ResourceNotFoundException:
            pass
        seen.append({"id": account["Id"], "name": account["Name"], "email": account["Email"], "contacts": contacts, "tags": tags})
    return [f"accounts: {seen}"] if seen != answers["accounts"] else []


def check_credentials(reader, answers, regions):
    """What the API says, in the words of the answers, against the answers."""
    seen = {}
    for account, session in reader.sessions.items():
        iam = reader.client("iam", session)
        while iam.generate_credential_report()["State"] != "COMPLETE":
            pass
        report = {row["user"]: row for row in csv.DictReader(io.StringIO(iam.get_credential_report()["Content"].decode()))}
        for user in (user for page in iam.get_paginator("list_users").paginate() for user in page["Users"]):
            name, row = user["UserName"], report[user["UserName"]]
            for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
                used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
                seen[account, "aws.iam-access-key", key["AccessKeyId"]] = (rfc3339(key["CreateDate"]), key["Status"].lower(), rfc3339(
                    used["LastUsedDate"]) if "LastUsedDate" in used else "never")
            if row["password_enabled"] == "true":
                used = row["password_last_used"].replace("+00:00", "Z")
                seen[account, "aws.console-password", name] = (row["password_last_changed"].replace("+00:00", "Z"), "active",
                                                               "never" if used == "no_information" else used)
            for key in iam.list_ssh_public_keys(UserName=name)["SSHPublicKeys"]:
                seen[account, "aws.iam-ssh-key", key["SSHPublicKeyId"]] = (rfc3339(key["UploadDate"]), key["Status"].lower(), "untracked")
            for made in iam.list_signing_certificates(UserName=name)["Certificates"]:
                seen[account, "aws.signing-certificate", made["CertificateId"]] = (
                    rfc3339(made["UploadDate"]), made["Status"].lower(), "untracked")
            for made in iam.list_service_specific_credentials(UserName=name)["ServiceSpecificCredentials"]:
                seen[account, "aws.service-specific-credential", made["ServiceSpecificCredentialId"]] = (
                    rfc3339(made["CreateDate"]), made["Status"].lower(), "untracked")
        root = report["<root_account>"]
        for n in (1, 2):
            if root[f"access_key_{n}_active"] == "true":
                seen[account, "aws.root-access-key", "root"] = (root[f"access_key_{n}_last_rotated"].replace("+00:00", "Z"), "active",
                                                                root[f"access_key_{n}_last_used_date"].replace("+00:00", "Z"))
        for region in regions:
            for secret in (s for page in reader.client("secretsmanager", session, region).get_paginator("list_secrets").paginate()
                           for s in page["SecretList"]):
                seen[account, "aws.secret", secret["ARN"]] = (rfc3339(secret["LastChangedDate"]), "active", rfc3339(
                    secret["LastAccessedDate"]) if "LastAccessedDate" in secret else "never")
            for parameter in (p for page in reader.client("ssm", session, region).get_paginator("describe_parameters").paginate()
                              for p in page["Parameters"] if p["Type"] == "SecureString"):
                seen[account, "aws.ssm-secure-string", region + parameter["Name"]] = (
                    rfc3339(parameter["LastModifiedDate"]), "active", "untracked")
    told = {}
    for c in answers["credentials"]:
        name = c["region"] + c["name"] if c["kind"] == "aws.ssm-secure-string" else c["public_id"] or c["name"]
        told[c["account"], c["kind"], name] = (c["issued_at"], c["status"],
                                               c["last_used"]["at"] if isinstance(c["last_used"], dict) else c["last_used"])
    return [f"{key[:2]}: answers {told.get(key)}, API {seen.get(key)}" for key in sorted(told.keys() | seen.keys(), key=str)
            if told.get(key) != seen.get(key)]


def main():
    arguments = argparse.ArgumentParser(description="hold answers.json to the world")
    arguments.add_argument("--endpoint", required=True)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    arguments = arguments.parse_args()
    out = arguments.out.resolve()
    answers = json.loads((out / "answers.json").read_text())
    reader = Reader(arguments.endpoint, out, answers)
    for account in reader.sessions:
        reader.read_account(account, answers["regions"])
    if (out / "repos").exists():
        reader.read_repositories(out / "repos")
    problems = check_detections(reader, answers)
    if answers["world"] == "weekly":
        problems += check_accounts(reader, answers)
    if answers["world"] != "ministack":               # which lacks half the calls, and all dates
        problems += check_credentials(reader, answers, answers["regions"])
    print("\n".join(problems) or f"{len(answers['detections'])} detections and {len(answers['credentials'])} credentials hold; "
          f"{len(reader.places)} places read")
    raise SystemExit(bool(problems))


if __name__ == "__main__":
    main()
