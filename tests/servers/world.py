"""What every seeded world is made with: the answer file, clients that act as any account, packages, and functions.

A place is written down the way a report names it:
  function/<name>/<version>/code · function/<name>/<version>/environment · layer/<layer version arn> · s3://<bucket>/<key>
  with ?versionId= for a version that is not current · git:<repository> · file:<path>
and `path` is the file inside it, with !/ between an archive and what it holds. `line` is where the public id stands, or,
for a credential without one, where the secret begins; null for binary content and variables. Of an environment, `path`
names the variable.
"""
import datetime as dt
import gzip
import hashlib
import http.client
import io
import json
import tarfile
import urllib.parse
import urllib.request
import zipfile

import boto3
from botocore.config import Config

ZIP_DATE = (2024, 1, 1, 0, 0, 0)  # so that equal files make equal packages
TRUST_ANYBODY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
# What an audit reads. Worlds give their roles these, so that authorization can be switched on.
AUDIT_ACTIONS = [
    "iam:GenerateCredentialReport", "iam:GetCredentialReport", "iam:GetAccountAuthorizationDetails", "iam:GetAccountSummary",
    "iam:ListUsers", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", "iam:ListSSHPublicKeys", "iam:ListSigningCertificates",
    "iam:ListServiceSpecificCredentials", "iam:ListUserTags", "iam:ListAccountAliases", "lambda:ListFunctions", "lambda:GetFunction",
    "lambda:ListVersionsByFunction", "lambda:GetLayerVersion", "s3:ListAllMyBuckets", "s3:ListBucket", "s3:ListBucketVersions",
    "s3:GetObject", "s3:GetObjectVersion", "s3:GetBucketLocation", "s3:GetBucketVersioning", "secretsmanager:ListSecrets",
    "ssm:DescribeParameters", "organizations:ListAccounts", "organizations:DescribeOrganization", "organizations:ListTagsForResource",
    "account:GetAlternateContact", "account:ListRegions", "ec2:DescribeRegions", "sts:AssumeRole"]


def rfc3339(moment):
    return moment.astimezone(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Answers:
    """What is true of the world, for a test to compare with."""

    def __init__(self, now):
        self.now = now
        self.accounts, self.credentials, self.detections, self.gaps, self.clean = [], [], [], [], []

    def ago(self, days):
        return self.now - dt.timedelta(days=days)

    def credential(self, account, kind, name, issued_at, *, region=None, public_id=None, principal=None, last_used="never",
                   status="active", expires_at=None, owner=None, **more):
        self.credentials.append({
            "provider": "aws", "account": account, "region": region, "kind": f"aws.{kind}", "public_id": public_id, "name": name,
            "principal": principal, "issued_at": rfc3339(issued_at), "last_used": last_used, "status": status,
            "expires_at": expires_at and rfc3339(expires_at), "owner": owner} | more)

    def detection(self, planted, artifact, *, account=None, region=None, path=None, line=None, also=(), commit=None, **more):
        self.detections.append({
            "rule": planted.rule, "account": account, "region": region, "artifact": artifact, "path": path, "line": line,
            "public_id": planted.public_id, "secret_sha256": sha256(planted.secret), "also": list(also), "commit": commit,
            "joins_to": planted.joins_to} | more)

    def write(self, path, **more):
        path.write_text(json.dumps({"now": rfc3339(self.now), **more, "accounts": self.accounts, "credentials": self.credentials,
                                    "detections": self.detections, "gaps": self.gaps, "clean": sorted(self.clean)}, indent=1))


class Aws:
    """Clients that act as whatever account is named, and the test hooks. moto reads the account from a header, MiniStack from a
    key id of twelve digits."""

    def __init__(self, endpoint):
        self.endpoint, self.clients, self.session = endpoint, {}, boto3.session.Session()

    def __call__(self, service, account, region="us-east-1"):
        if (service, account, region) not in self.clients:
            client = self.session.client(
                service, endpoint_url=self.endpoint, region_name=region, aws_access_key_id=account, aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, parameter_validation=False,
                              request_checksum_calculation="when_required"))
            client.meta.events.register("before-sign", lambda request, **_: request.headers.add_header("x-moto-account-id", account))
            self.clients[service, account, region] = client
        return self.clients[service, account, region]

    def hook(self, name, body):
        request = urllib.request.Request(f"{self.endpoint}/__test/{name}", json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request).read()

    def put_object_as_named(self, account, region, bucket, key, body):
        """For a key with dot segments, which urllib3 would resolve as if it were a path."""
        connection = http.client.HTTPConnection(self.endpoint.removeprefix("http://"))
        connection.request("PUT", f"/{bucket}/{urllib.parse.quote(key)}", as_bytes(body), {
            "x-moto-account-id": account,
            "Authorization": f"AWS4-HMAC-SHA256 Credential=test/20240101/{region}/s3/aws4_request, SignedHeaders=host, Signature=0"})
        if connection.getresponse().status != 200:
            raise RuntimeError(f"could not put {key}")

    def ambient(self, account, role):
        """The environment of somebody who runs the audit: a session of that role, in no inventory."""
        role = f"arn:aws:iam::{account}:role/{role}"
        session = self("sts", account).assume_role(RoleArn=role, RoleSessionName="overdue-test")["Credentials"]
        return {"AWS_ACCESS_KEY_ID": session["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
                "AWS_SESSION_TOKEN": session["SessionToken"], "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": self.endpoint}

    def role(self, account, name, trust=TRUST_ANYBODY):
        self("iam", account).create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        self.hook("role-policy", {"account": account, "role": name, "document": {
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": AUDIT_ACTIONS, "Resource": "*"}]}})


# ---- files and packages ----

def as_bytes(content):
    return content.encode() if isinstance(content, str) else content


def zip_of(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), as_bytes(content), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def tar_gz_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(as_bytes(content))
            archive.addfile(entry, io.BytesIO(as_bytes(content)))
    return gzip.compress(out.getvalue(), mtime=0)


def line_of(text, planted):
    """Null where the text holds it only encoded."""
    at = text.find(planted.public_id or planted.secret)
    return text.count("\n", 0, at) + 1 if at >= 0 else None


def written(planted, style):
    """The credential as one or more lines of a file in that style."""
    if "\n" in planted.text or planted.rule in ("generic.assignment", "aws.access-key-id"):
        return planted.text
    name = planted.rule.replace(".", "_").replace("-", "_")
    return {"py": f'{name.upper()} = "{planted.text}"', "js": f'const {name} = "{planted.text}";',
            "env": f"{name.upper()}={planted.text}", "yaml": f"{name}: {planted.text}"}[style]


def source(rng, planted, style="py"):
    """(text, line): a file with the credential somewhere in it. A PEM or a service account's JSON stands alone."""
    text = written(planted, style)
    if planted.rule in ("private-key.pem", "gcp.service-account-key"):
        return text, line_of(text, planted)
    form = {"py": "option_{} = {}", "js": "const option_{} = {};", "env": "OPTION_{}={}", "yaml": "option_{}: {}"}[style]
    filler = [form.format(n, rng.randrange(1000)) for n in range(rng.randrange(8, 30))]
    cut = rng.randrange(3, len(filler))
    text = "\n".join(filler[:cut] + [text] + filler[cut:]) + "\n"
    return text, line_of(text, planted)


# ---- functions ----

class Stage:
    """One state of a function: its files, its variables, and what of them is planted."""

    def __init__(self, files, environment=None, publish=True):
        self.files, self.environment, self.publish = files, dict(environment or {}), publish
        self.in_code, self.in_environment = [], []      # (planted, path, line) · (planted, variable)

    def plant(self, planted, path, content, line=None):
        """`path` may lead into archives; `content` is what the outermost file holds."""
        self.files[path.split("!/")[0]] = content
        self.in_code.append((planted, path, line))
        return self

    def plant_source(self, rng, planted, path, style="py"):
        text, line = source(rng, planted, style)
        return self.plant(planted, path, text, line)

    def variables(self, planted, **variables):
        """The first variable is the one the place is named after."""
        self.environment |= variables
        self.in_environment.append((planted, next(iter(variables))))
        return self


def seed_function(aws, answers, account, region, name, stages, ages, layers=(), tags=None):
    """Creates the function, publishes its versions, dates them, and writes down what is where. `ages`: days, one a stage."""
    client = aws("lambda", account, region)
    packages = [zip_of(stage.files) for stage in stages]
    states = []                                          # (version, stage, package), oldest first
    for n, (stage, package) in enumerate(zip(stages, packages)):
        variables = {"Variables": stage.environment}
        if n == 0:
            client.create_function(FunctionName=name, Runtime="python3.12", Handler="handler.handler", Environment=variables,
                                   Role=f"arn:aws:iam::{account}:role/lambda-exec", Code={"ZipFile": package}, Layers=list(layers),
                                   Tags=tags or {})
        else:
            if package != packages[n - 1]:
                client.update_function_code(FunctionName=name, ZipFile=package)
            client.update_function_configuration(FunctionName=name, Environment=variables, Description=f"stage {n}")
        if stage.publish:
            version = client.publish_version(FunctionName=name)["Version"]
            states.append((version, stage, package))
    states.append(("$LATEST", stages[-1], packages[-1]))
    dated = [(version, age) for (version, _, _), age in zip(states, [age for stage, age in zip(stages, ages) if stage.publish])]
    aws.hook("function", [{"account": account, "region": region, "name": name, "version": version, "modified": rfc3339(answers.ago(age))}
                          for version, age in dated + [("$LATEST", ages[-1])]])
    states.reverse()                                     # newest first, as an audit reads them
    note_code(answers, account, region, name, states)
    note_environment(answers, account, region, name, states)


def note_code(answers, account, region, name, states):
    """A credential once a package: versions with equal code follow the newest of them under `also`."""
    for package in dict.fromkeys(package for _, _, package in states):
        holders = [(version, stage) for version, stage, held in states if held == package]
        places = [f"function/{name}/{version}/code" for version, _ in holders]
        for planted, path, line in holders[0][1].in_code:
            answers.detection(planted, places[0], account=account, region=region, path=path, line=line, also=places[1:])
        if not holders[0][1].in_code:
            answers.clean += places


def note_environment(answers, account, region, name, states):
    holders = {}                                         # (secret, variable) -> (planted, versions)
    for version, stage, _ in states:
        for planted, variable in stage.in_environment:
            holders.setdefault((planted.secret, variable), (planted, []))[1].append(version)
        if stage.environment and not stage.in_environment:
            answers.clean.append(f"function/{name}/{version}/environment")
    for (_, variable), (planted, versions) in holders.items():
        places = [f"function/{name}/{version}/environment" for version in versions]
        answers.detection(planted, places[0], account=account, region=region, path=variable, also=places[1:])
