"""Fills moto_plus with a whole world, and writes down what is true of it.

usage: seed_world.py --endpoint URL --out DIR [--world weekly|bench] [--now RFC3339] [--seed N]

Writes DIR/answers.json, DIR/ambient.json (the environment of whoever runs the audit) and, for `weekly`, DIR/repos and
DIR/odd-repos. The same seed makes the same tokens; ids that moto makes up (access keys of users, versions) differ.
Nothing secret is printed.

weekly: an organization of three accounts with two regions, 60 users, 40 functions, 4 layers, 6 buckets, 5 repositories.
bench:  one account, 200 users with 228 keys, 100 functions with 50 planted credentials.
"""
import argparse
import base64
import datetime as dt
import gzip
import json
import pathlib
import random
import shutil
import time

import zstandard

import tokens
from people import seed_parameters, seed_root_key, seed_secrets, seed_users
from repos import binary_around, seed_odd_repos, seed_repos
from tokens import noise_files
from world import Answers, Aws, Stage, line_of, rfc3339, seed_function, sha256, source, tar_gz_of, written, zip_of

MAIN, SHOP, LABS = "111111111111", "222222222222", "333333333333"
UNKNOWN = "444455556666"          # an account that no audit reaches
REGIONS = ["us-east-1", "eu-west-1"]


def accounts_of_weekly():
    """An owner tag on the first, a security contact on the second, nothing on the third: what it holds is ownerless."""
    return [
        {"id": MAIN, "number": 0, "name": "acme-main", "email": "aws-main@acme.example", "contacts": {},
         "tags": {"owner": "platform@acme.example"}, "owner": {"address": "platform@acme.example", "evidence": "account tag owner"}},
        {"id": SHOP, "number": 1, "name": "acme-shop", "email": "aws-shop@acme.example", "tags": {"cost-center": "42"},
         "contacts": {"SECURITY": "security-shop@acme.example"},
         "owner": {"address": "security-shop@acme.example", "evidence": "account contact SECURITY"}},
        {"id": LABS, "number": 2, "name": "acme-labs", "email": "aws-labs@acme.example", "contacts": {}, "tags": {}, "owner": None},
    ]


def seed_organization(aws, answers, accounts, external_id):
    organizations = aws("organizations", MAIN)
    organizations.create_organization(FeatureSet="ALL")
    for account in accounts:
        made = account["id"]
        if made != MAIN:
            made = organizations.create_account(AccountName=account["name"], Email=account["email"])["CreateAccountStatus"]["AccountId"]
        aws.hook("organization-account", {"management": MAIN, "id": made, "new_id": account["id"], "name": account["name"],
                                          "email": account["email"], "joined": rfc3339(answers.ago(2000 - account["number"]))})
        if account["tags"]:
            organizations.tag_resource(ResourceId=account["id"], Tags=[{"Key": k, "Value": v} for k, v in account["tags"].items()])
        for kind, address in account["contacts"].items():
            aws("account", account["id"]).put_alternate_contact(
                AlternateContactType=kind, EmailAddress=address, Name="Security", PhoneNumber="+49 30 1234", Title="Security")
        aws.role(account["id"], "overdue-audit", {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{MAIN}:root"},
            "Condition": {"StringEquals": {"sts:ExternalId": external_id}}}]})
        aws.role(account["id"], "lambda-exec")
        answers.accounts.append({name: account[name] for name in ("id", "name", "email", "contacts", "tags")})
    aws.role(MAIN, "overdue-runner")


def clean_stage(rng):
    return Stage(noise_files(rng, 8), {
        "LOG_LEVEL": "info", "TABLE_NAME": "orders", "REQUEST_ID": tokens.uuid(rng), "GIT_SHA": tokens.chars(rng, "0123456789abcdef", 40),
        "DB_PASSWORD": "changeme", "API_TOKEN": "${TOKEN}", "SECRET_NAME": "prod/orders/db", "KEY_PARAMETER": "/acme/key"})


def settled_stage(rng, how_many=3):
    """A few ordinary files and variables, for a credential to be planted among."""
    return Stage(noise_files(rng, how_many), {"LOG_LEVEL": "info", "TABLE_NAME": f"table-{rng.randrange(100)}"})


def seed_weekly_functions(aws, answers, rng, keys, secrets):
    make = lambda rule: tokens.make(rule, rng)
    stage = lambda: settled_stage(rng)
    pair = lambda account, user, which=0: tokens.aws_pair(*keys[account][user][which], account)
    us, eu = REGIONS

    layers = seed_layers(aws, answers, rng)
    def function(account, region, name, *stages, ages=None, layers=()):
        ages = ages or [rng.randrange(2, 900) for _ in stages]
        seed_function(aws, answers, account, region, name, list(stages), sorted(ages, reverse=True), layers)

    # A credential in the variables
    billing, hook_token = pair(MAIN, "build-bot"), make("github.pat")
    function(MAIN, us, "billing-export", stage().variables(
        billing, AWS_KEY_ID=billing.public_id, AWS_SECRET=billing.secret), layers=layers["common"])
    function(MAIN, us, "deploy-hook", stage().variables(hook_token, GITHUB_TOKEN=hook_token.text), layers=layers["common"])
    url = make("database.url")
    orders = make("gitlab.pat")
    function(MAIN, us, "orders-api",     # in the code of version 1 alone; the variable came with version 2
             stage().plant_source(rng, orders, "config/settings.py"), stage().variables(url, DATABASE_URL=url.text),
             stage().variables(url, DATABASE_URL=url.text), ages=[700, 300, 20])
    function(SHOP, eu, "price-feed", stage().variables(generic := make("generic.assignment"), DB_PASSWORD=generic.secret))
    function(LABS, us, "deploy-hook", stage().variables(hook_token, GH_TOKEN=hook_token.text))   # the same token, another account
    # The value of a stored secret; only who may read the store can tell.
    stored = tokens.Planted("generic.assignment", "", secrets["prod/orders/db"])
    function(LABS, eu, "order-mail", stage().variables(stored, MAIL_PASSWORD=stored.secret))

    # Plain files
    function(MAIN, us, "report-mailer", stage().plant_source(rng, make("sendgrid.api-key"), ".env", "env"))
    function(MAIN, us, "slack-notify", stage().plant_source(rng, make("slack.bot-token"), "src/notify.js", "js")
             .plant_source(rng, make("slack.webhook"), "src/webhook.js", "js"), layers=layers["common"] + layers["numpy"])
    function(SHOP, us, "gcs-export", stage().plant_source(rng, make("gcp.service-account-key"), "keys/gcp.json"))
    function(SHOP, us, "pem-signer", stage().plant_source(rng, make("private-key.pem"), "keys/signer.pem"))
    function(SHOP, eu, "telegram-bot", stage().plant_source(rng, make("telegram.bot-token"), "bot.py"))
    function(SHOP, eu, "shop-sync", stage().plant_source(rng, make("shopify.access-token"), "config/.env", "env"))
    function(LABS, us, "id-only", stage().plant_source(rng, tokens.aws_id_alone(keys[LABS]["etl-bot"][0][0], LABS), "migrate.py"))
    function(LABS, us, "foreign-key", stage().plant_source(rng, tokens.aws_unknown_pair(rng, UNKNOWN), "legacy/s3.py"))
    function(LABS, us, "publish-wheel", stage().plant_source(rng, make("pypi.upload-token"), "setup.cfg", "env"))
    function(LABS, eu, "droplets", stage().plant_source(rng, make("digitalocean.pat"), "terraform.tfvars"))

    # Inside something else
    def nested(rule_or_planted, archive, outer, inner, style="py"):
        planted = make(rule_or_planted) if isinstance(rule_or_planted, str) else rule_or_planted
        text, line = source(rng, planted, style)
        return stage().plant(planted, f"{outer}!/{inner}", archive(noise_files(rng, 2) | {inner: text}), line)

    function(MAIN, us, "image-resize", nested("stripe.secret-key", zip_of, "lib/inner.zip", "config/settings.py"), layers=layers["numpy"])
    function(MAIN, us, "geo-lookup", nested("google.api-key", tar_gz_of, "assets/bundle.tar.gz", "etc/app.env", "env"))
    function(MAIN, eu, "legacy-sync", nested(pair(SHOP, "build-bot"), zip_of, "lib/client.jar", "application.properties"))
    deep = make("npm.access-token")
    text, line = source(rng, deep, "env")
    function(MAIN, eu, "matryoshka", stage().plant(   # a jar in a tar.gz in the package
        deep, "bundle/all.tgz!/lib/app.jar!/npm/.npmrc", tar_gz_of({"lib/app.jar": zip_of({"npm/.npmrc": text})}), line))
    function(MAIN, eu, "model-cache", stage().plant(
        hugging := make("huggingface.token"), "data/model.bin", binary_around(rng, hugging)))
    function(MAIN, eu, "ml-infer", stage().plant_source(rng, make("openai.api-key"), "site-packages/acme_ai/_auth.py"))
    function(SHOP, us, "frontend-ssr", stage().plant_source(rng, make("npm.access-token"), "node_modules/acme-sdk/lib/index.js", "js"))

    # Encoded
    function(SHOP, us, "k8s-rollout", encoded_in_yaml(stage(), make("gitlab.pat")))
    function(SHOP, us, "etl-json", encoded_in_json(stage(), make("github.fine-grained-pat")))
    azure = make("azure.storage-account-key")
    text, line = source(rng, azure, "env")
    function(SHOP, us, "windows-agent", stage().plant(azure, "agent/config.ini", text.encode("utf-16"), line))

    # Four versions: the first two have one package, with a credential; later ones are clean
    anthropic = make("anthropic.api-key")
    first = stage().plant_source(rng, anthropic, "llm/client.py")
    second = Stage(dict(first.files), {"LOG_LEVEL": "debug"})
    second.in_code = first.in_code
    function(SHOP, us, "payments-core", first, second, stage(), stage(), ages=[800, 600, 200, 5])
    # In $LATEST alone, never published
    function(LABS, us, "draft", stage(), Stage(noise_files(rng, 2), publish=False).plant_source(rng, make("github.pat"), "draft.py"),
             ages=[90, 1])

    # Noise alone, in every account and region
    for account, region, names in (
            (MAIN, us, ["invoice-pdf", "sitemap", "audit-trail"]), (MAIN, eu, ["thumbnails", "waf-sync"]), (SHOP, us, ["stock-level"]),
            (SHOP, eu, ["cart-expiry", "newsletter"]), (LABS, us, ["playground", "abtest"]), (LABS, eu, ["metrics", "cron-clean"])):
        attached = {(SHOP, us): layers["logging"], (LABS, us): layers["shared-js"]}.get((account, region), [])
        for name in names:
            function(account, region, name, *[clean_stage(rng) for _ in range(4 if name == "sitemap" else 1)], layers=attached)


def seed_layers(aws, answers, rng):
    """Four layers, one with a credential. Returns name -> [arn]."""
    arns = {}
    for name, account, planted in (("common", MAIN, tokens.make("slack.bot-token", rng)), ("numpy", MAIN, None),
                                   ("logging", SHOP, None), ("shared-js", LABS, None)):
        files, line, path = noise_files(rng, 4), None, f"python/{name}/_defaults.py"
        if planted:
            files[path], line = source(rng, planted)
        made = aws("lambda", account).publish_layer_version(LayerName=name, Content={"ZipFile": zip_of(files)},
                                                            CompatibleRuntimes=["python3.12"])
        arns[name] = [made["LayerVersionArn"]]
        aws.hook("layer", {"account": account, "region": "us-east-1", "name": name, "version": "1", "created": rfc3339(answers.ago(500))})
        if planted:
            answers.detection(planted, f"layer/{arns[name][0]}", account=account, region="us-east-1", path=path, line=line)
        else:
            answers.clean.append(f"layer/{arns[name][0]}")
    return arns


def encoded_in_yaml(stage, planted, path="deploy/secret.yaml"):
    text = ("apiVersion: v1\nkind: Secret\nmetadata:\n  name: acme\ntype: Opaque\ndata:\n  user: YWNtZQ==\n"
            f"  token: {base64.b64encode(written(planted, 'env').encode()).decode()}\n")
    return stage.plant(planted, path, text, 8)


def encoded_in_json(stage, planted, path="jobs/etl.json"):
    text = json.dumps({"job": "etl", "steps": [{"run": "load", "env": {
        "payload": base64.b64encode(written(planted, "env").encode()).decode()}}]}, indent=2)
    return stage.plant(planted, path, text, text[:text.index('"payload"')].count("\n") + 1)


def seed_buckets(aws, answers, rng, keys):
    make = lambda rule: tokens.make(rule, rng)
    us, eu = REGIONS
    buckets = {"acme-artifacts": (MAIN, us), "acme-logs-eu": (MAIN, eu), "acme-data-lake": (SHOP, us), "acme-backups": (SHOP, eu),
               "acme-site": (LABS, us), "acme-archive": (LABS, eu)}
    for bucket, (account, region) in buckets.items():
        aws("s3", account, region).create_bucket(
            Bucket=bucket, **({} if region == us else {"CreateBucketConfiguration": {"LocationConstraint": region}}))

    def put(bucket, key, body, planted=None, path=None, line=None):
        account, region = buckets[bucket]
        if ".." in key:
            made = aws.put_object_as_named(account, region, bucket, key, body)
        else:
            made = aws("s3", account, region).put_object(Bucket=bucket, Key=key, Body=body)
        if planted:
            answers.detection(planted, f"s3://{bucket}/{key}", account=account, region=region, path=path, line=line)
        return made

    def noise(bucket, prefix, how_many):
        for number in range(how_many):
            text = "\n".join(noise_files(rng, 3).values())
            put(bucket, f"{prefix}{number:02}.txt", text)
            answers.clean.append(f"s3://{bucket}/{prefix}{number:02}.txt")

    # Text, and text in every wrapping
    planted = make("github.pat")
    text, line = source(rng, planted, "env")
    put("acme-artifacts", "builds/1.env", text, planted, line=line)
    planted = tokens.aws_pair(*keys[LABS]["edge-over"][0], LABS)
    text, line = source(rng, planted)
    put("acme-artifacts", "builds/2.log.gz", gzip.compress(text.encode(), mtime=0), planted, line=line)
    planted = make("stripe.secret-key")
    text, line = source(rng, planted, "yaml")
    put("acme-artifacts", "builds/3.zip", zip_of(noise_files(rng, 2) | {"helm/values.yaml": text}), planted, "helm/values.yaml", line)
    planted = make("sendgrid.api-key")
    text, line = source(rng, planted, "js")
    put("acme-artifacts", "builds/4.js.zst", zstandard.compress(text.encode()), planted, line=line)
    noise("acme-artifacts", "builds/clean-", 5)

    # Large enough for several ranged reads, with the credential across the 8 MiB mark
    planted = make("digitalocean.pat")
    body, line = large_log(rng, planted)
    put("acme-logs-eu", "2024/app.log", body, planted, line=line)
    noise("acme-logs-eu", "2024/clean-", 3)

    # Odd names
    for key, rule in (("reports 2024/über ☃.txt", "google.api-key"), ("../outside/settings.py", "shopify.access-token"),
                      ("a+b=c&d?e#f%41.env", "huggingface.token"), ("line\nbreak.txt", "telegram.bot-token")):
        planted = make(rule)
        text, line = source(rng, planted)
        put("acme-data-lake", key, text, planted, line=line)
    put("acme-data-lake", "empty", b"")
    answers.clean.append("s3://acme-data-lake/empty")
    noise("acme-data-lake", "raw/", 12)

    # Versions: the credential is in one that was replaced, and in one that was deleted
    account, region = buckets["acme-backups"]
    s3 = aws("s3", account, region)
    s3.put_bucket_versioning(Bucket="acme-backups", VersioningConfiguration={"Status": "Enabled"})
    for key, rule in (("etc/app.conf", "slack.webhook"), ("etc/deleted.conf", "npm.access-token")):
        planted = make(rule)
        text, line = source(rng, planted, "env")
        version = put("acme-backups", key, text)["VersionId"]
        answers.detection(planted, f"s3://acme-backups/{key}?versionId={version}", account=account, region=region, line=line,
                          how="old version")
    put("acme-backups", "etc/app.conf", "token = ${TOKEN}\n")
    answers.clean.append("s3://acme-backups/etc/app.conf")
    s3.delete_object(Bucket="acme-backups", Key="etc/deleted.conf")
    noise("acme-backups", "daily/", 3)

    noise("acme-site", "www/", 10)

    # Not to be read without a restore
    planted = make("gitlab.pat")
    account, region = buckets["acme-archive"]
    aws("s3", account, region).put_object(Bucket="acme-archive", Key="2019/dump.sql", Body=written(planted, "env"), StorageClass="GLACIER")
    answers.gaps.append({"artifact": "s3://acme-archive/2019/dump.sql", "why": "archived"})
    noise("acme-archive", "2024/", 2)


def large_log(rng, planted, size=24 << 20, boundary=8 << 20):
    """A log of `size` bytes in which the credential begins some bytes before `boundary` and ends after it."""
    lines = [f"2024-05-{n % 28 + 1:02}T10:{n % 60:02}:00Z INFO request {tokens.uuid(rng)} done in {n} ms\n" for n in range(4000)]
    block = "".join(lines)
    before = (block * (boundary // len(block) + 1))[:boundary - len(planted.secret) // 2]
    before = before[:before.rfind("\n") + 1]
    # Fill up to the right place within one line, so that the secret straddles the boundary.
    lead = "config dump: "
    lead += "." * (boundary - len(planted.secret) // 2 - len(before) - len(lead) - 1) + " "
    text = before + lead + planted.text + "\n"
    text += (block * ((size - len(text)) // len(block) + 1))[:size - len(text) - 1] + "\n"
    assert text.index(planted.secret) < boundary < text.index(planted.secret) + len(planted.secret)
    return text, line_of(text, planted)


def seed_weekly(aws, answers, rng, out):
    external_id = tokens.chars(rng, tokens.WORD, 24)
    accounts = accounts_of_weekly()
    aws.hook("regions", {"names": REGIONS})
    seed_organization(aws, answers, accounts, external_id)
    keys, secrets = {}, {}
    for account in accounts:
        keys[account["id"]] = seed_users(aws, answers, rng, account)
        for region in REGIONS if account["number"] < 2 else REGIONS[1:]:
            secrets = seed_secrets(aws, answers, rng, account, region)   # the last ones are of acme-LABS, eu-west-1
        for region in REGIONS:
            seed_parameters(aws, answers, rng, account, region, 8 if account["id"] == MAIN else 2)
    seed_root_key(aws, answers, accounts[0])
    # One account has a report of three hours ago, which does not know the key made since.
    aws.hook("credential-report", {"account": SHOP, "as_of": rfc3339(answers.ago(3 / 24))})
    seed_weekly_functions(aws, answers, rng, keys, secrets)
    for detection in answers.detections:      # who may read stored values can join this one too
        if detection["secret_sha256"] == sha256(secrets["prod/orders/db"]):
            detection["same_as"] = {"account": LABS, "region": "eu-west-1", "name": "prod/orders/db"}
    seed_buckets(aws, answers, rng, keys)
    seed_repos(answers, rng, out / "repos", tokens.aws_pair(*keys[MAIN]["hanna"][0], MAIN))
    odd = Answers(answers.now)
    seed_odd_repos(odd, rng, out / "odd-repos", out / "PWNED")
    return {"role": "overdue-audit", "external_id": external_id, "regions": REGIONS,
            "odd": {"detections": odd.detections, "gaps": odd.gaps}}


def seed_bench(aws, answers, rng, out):
    account = accounts_of_weekly()[0] | {"tags": {}, "owner": None}
    answers.accounts.append({name: account[name] for name in ("id", "name", "email", "contacts", "tags")})
    aws.hook("regions", {"names": REGIONS[:1]})
    for role in ("overdue-runner", "overdue-audit", "lambda-exec"):
        aws.role(account["id"], role)
    # 200 users, 28 of them with two keys; 62 keys active and never used
    habits = []
    for number in range(200):
        keys = [(30 + 5 * number % 700, None if number < 62 else 1 + number % 300, True, None)]
        keys += [(400, 390, number % 2 == 0, None)] if number >= 172 else []
        habits.append((f"user-{number:03}", {"keys": keys}))
    keys = seed_users(aws, answers, rng, account, habits)

    rules = [*tokens.WHOLE, "database.url", "azure.storage-account-key"]
    def planted(number):
        """Every fifth is the pair of a real user."""
        if number % 5 == 0:
            return tokens.aws_pair(*keys[f"user-{number:03}"][0], account["id"])
        return tokens.make(rules[number % len(rules)], rng)

    def stages_of(number):
        stage, one = settled_stage(rng, 2), planted(number)
        if number >= 50:
            return [stage]
        if number < 12:
            if one.rule == "aws.access-key":
                return [stage.variables(one, KEY_ID=one.public_id, KEY_SECRET=one.secret)]
            return [stage.variables(one, TOKEN=one.text)]
        if number < 25:
            return [stage.plant_source(rng, one, "config/settings.py")]
        if number < 34:
            text, line = source(rng, one)
            return [stage.plant(one, "lib/inner.zip!/config/settings.py", zip_of({"config/settings.py": text}), line)]
        if number < 42:
            return [stage.plant_source(rng, one, "config/settings.py"), settled_stage(rng, 2)]
        return [encoded_in_json(stage, one) if number % 2 else encoded_in_yaml(stage, one)]

    for number in range(100):
        stages = stages_of(number)
        if len(stages) == 1:
            stages[0].publish = False
        seed_function(aws, answers, account["id"], REGIONS[0], f"function-{number:03}", stages, [300, 10][:len(stages)])
    return {"role": "overdue-audit", "external_id": None, "regions": REGIONS[:1]}


def main():
    arguments = argparse.ArgumentParser(description="fill moto_plus with a world")
    arguments.add_argument("--endpoint", required=True)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    arguments.add_argument("--world", choices=["weekly", "bench"], default="weekly")
    arguments.add_argument("--now", type=dt.datetime.fromisoformat)
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()
    started = time.monotonic()
    out = arguments.out.resolve()
    for folder in ("repos", "odd-repos"):
        shutil.rmtree(out / folder, ignore_errors=True)   # of a seeding before
    out.mkdir(parents=True, exist_ok=True)
    aws = Aws(arguments.endpoint)
    if arguments.now:
        aws.hook("clock", {"now": rfc3339(arguments.now)})
    # A whole minute, so that two keys made 20 seconds apart are made in the same one.
    answers = Answers((arguments.now or dt.datetime.now(dt.timezone.utc)).replace(second=0, microsecond=0))
    more = {"weekly": seed_weekly, "bench": seed_bench}[arguments.world](aws, answers, random.Random(arguments.seed), out)
    answers.write(out / "answers.json", world=arguments.world, seed=arguments.seed, **more)
    ambient = out / "ambient.json"
    ambient.touch(mode=0o600)
    ambient.write_text(json.dumps(aws.ambient(MAIN, "overdue-runner"), indent=1))
    aws.hook("calls/reset", {})
    print(f"{arguments.world}: {len(answers.credentials)} credentials, {len(answers.detections)} detections, {len(answers.gaps)} gaps, "
          f"{len(answers.clean)} clean places in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
