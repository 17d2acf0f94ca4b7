"""A small world on MiniStack: a second server's opinion on Lambda code, versions, layers, S3 and IAM keys.

usage: ministack_seed.py --endpoint URL --out DIR [--seed N]      (answers.json and ambient.json as seed_world.py writes them)

Start it with BIND_HOST=127.0.0.1 GATEWAY_PORT=P EDGE_PORT=P ministack (it listens on all interfaces unless told otherwise;
the port must be chosen before; GET /_ministack/health tells when it is up).

What MiniStack 1.5.33 does otherwise than AWS, as far as it touches an audit:
- nothing can be dated back: every credential is as old as the seeding, and GetAccessKeyLastUsed says N/A for ever
- no GetAlternateContact, no organization to speak of, no ListSSHPublicKeys, no ListSigningCertificates,
  no ListServiceSpecificCredentials
- ids of access keys are no base 32 and hold no account number, so a found one cannot be traced offline: none is planted here
- ListFunctions ignores FunctionVersion=ALL; versions come from ListVersionsByFunction alone
- the code of every version downloads as that of $LATEST: a credential in an old version alone cannot be seeded
- Code.Location names "localhost", not 127.0.0.1
- the account is the access key id, if that is twelve digits; any role can be assumed, whatever its trust policy says
"""
import argparse
import datetime as dt
import gzip
import json
import pathlib
import random

import tokens
from seed_world import encoded_in_json, settled_stage
from world import Answers, Aws, Stage, seed_function, source, zip_of

ACCOUNT, REGION = "111111111111", "us-east-1"


class MiniStack(Aws):
    def hook(self, name, body):
        """It has none."""


def seed_users(aws, answers):
    """Three users, four keys; one of them off."""
    iam = aws("iam", ACCOUNT)
    for user, states in (("build-bot", ["Active", "Active"]), ("old-bot", ["Inactive"]), ("etl-bot", ["Active"])):
        tags = [{"Key": "owner", "Value": f"{user}@acme.example"}] if user != "etl-bot" else []
        iam.create_user(UserName=user, Tags=tags)
        for state in states:
            key = iam.create_access_key(UserName=user)["AccessKey"]
            if state == "Inactive":
                iam.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status=state)
            answers.credential(ACCOUNT, "iam-access-key", user, key["CreateDate"], public_id=key["AccessKeyId"], status=state.lower(),
                               principal=f"arn:aws:iam::{ACCOUNT}:user/{user}",
                               owner={"address": tags[0]["Value"], "evidence": "user tag owner"} if tags else None)


def seed_functions(aws, answers, rng):
    make = lambda rule: tokens.make(rule, rng)
    stage = lambda: settled_stage(rng)
    seed = lambda name, *stages, layers=(): seed_function(aws, answers, ACCOUNT, REGION, name, list(stages), [0] * len(stages), layers)
    url = make("database.url")
    seed("billing-export", stage().variables(url, DATABASE_URL=url.text))
    stripe = make("stripe.secret-key")
    text, line = source(rng, stripe)
    seed("image-resize", stage().plant(stripe, "lib/inner.zip!/config/settings.py", zip_of({"config/settings.py": text}), line))
    first = stage().plant_source(rng, make("github.pat"), "config/settings.py")
    second = Stage(dict(first.files), {"LOG_LEVEL": "debug"})   # the same code once more
    second.in_code = first.in_code
    seed("orders-api", first, second)
    seed("etl-json", encoded_in_json(stage(), make("npm.access-token")))
    slack = make("slack.bot-token")
    text, line = source(rng, slack)
    layer = aws("lambda", ACCOUNT).publish_layer_version(LayerName="common", Content={"ZipFile": zip_of({"python/common.py": text})})
    answers.detection(slack, f"layer/{layer['LayerVersionArn']}", account=ACCOUNT, region=REGION, path="python/common.py", line=line)
    seed("plain", Stage(tokens.noise_files(rng, 8), {"LOG_LEVEL": "info"}), layers=[layer["LayerVersionArn"]])


def seed_bucket(aws, answers, rng):
    s3 = aws("s3", ACCOUNT)
    s3.create_bucket(Bucket="acme-artifacts")
    for key, rule, wrap in (("a.env", "sendgrid.api-key", bytes), ("b.log.gz", "digitalocean.pat", gzip.compress)):
        planted = tokens.make(rule, rng)
        text, line = source(rng, planted, "env")
        s3.put_object(Bucket="acme-artifacts", Key=key, Body=wrap(text.encode()))
        answers.detection(planted, f"s3://acme-artifacts/{key}", account=ACCOUNT, region=REGION, line=line)
    s3.put_object(Bucket="acme-artifacts", Key="clean.txt", Body="\n".join(tokens.noise_files(rng).values()))
    answers.clean.append("s3://acme-artifacts/clean.txt")


def main():
    arguments = argparse.ArgumentParser(description="fill MiniStack with a small world")
    arguments.add_argument("--endpoint", required=True)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()
    out, rng = arguments.out.resolve(), random.Random(arguments.seed)
    out.mkdir(parents=True, exist_ok=True)
    aws, answers = MiniStack(arguments.endpoint), Answers(dt.datetime.now(dt.timezone.utc).replace(microsecond=0))
    answers.accounts.append({"id": ACCOUNT, "name": None, "email": None, "contacts": {}, "tags": {}})
    for role in ("overdue-runner", "overdue-audit", "lambda-exec"):
        aws.role(ACCOUNT, role)
    seed_users(aws, answers)
    seed_functions(aws, answers, rng)
    seed_bucket(aws, answers, rng)
    answers.write(out / "answers.json", world="ministack", seed=arguments.seed, role="overdue-audit", external_id=None, regions=[REGION])
    ambient = out / "ambient.json"
    ambient.touch(mode=0o600)
    ambient.write_text(json.dumps(aws.ambient(ACCOUNT, "overdue-runner"), indent=1))
    print(f"ministack: {len(answers.credentials)} credentials, {len(answers.detections)} detections")


if __name__ == "__main__":
    main()
