"""IAM users with credentials of every age and habit, root keys, secrets and parameters, and who owns them."""
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from tokens import DIGITS, WORD, chars
from world import rfc3339

# Twenty habits; every account has one user of each. Ages and uses are days ago.
# keys: (age, last use or None, active?, days since it was turned off or None)
HABITS = [
    ("build-bot", {"keys": [(413, 1, True, None), (30, None, True, None)]}),
    ("backup-bot", {"keys": [(250, None, True, None)]}),
    ("etl-bot", {"keys": [(500, 200, True, None)]}),
    ("old-bot", {"keys": [(300, 150, False, 60)]}),                                   # off: AWS moves its "rotated" date
    ("twin-bot", {"keys": [(50, 3, True, None), (50 - 20 / 86400, None, True, None)]}),  # two keys 20 seconds apart
    ("new-bot", {"keys": [(1 / 24, None, True, None)]}),                              # made an hour ago: a report may miss it
    ("nobody", {}),
    ("alice", {"password": (30, 2)}),
    ("bruno", {"password": (400, None)}),                                             # no_information
    ("carla", {"password": (91, 91), "keys": [(120, 45, True, None)]}),
    ("dora", {"service": [("codecommit.amazonaws.com", 120, None)]}),
    ("emil", {"service": [("bedrock.amazonaws.com", 70, 20), ("bedrock.amazonaws.com", 400, -35)]}),  # one expired already
    ("fatma", {"ssh": [700]}),
    ("goran", {"certificates": [(800, "Active"), (900, "Inactive")]}),
    ("deploy-bot", {"keys": [(10, 0.1, True, None)]}),
    ("twice-off", {"keys": [(600, 500, False, None), (550, None, False, None)]}),
    ("edge-over", {"keys": [(91, 91, True, None)]}),
    ("edge-under", {"keys": [(89, 44, True, None)]}),
    ("hanna", {"password": (200, 199), "ssh": [20], "keys": [(365, 20, True, None)]}),
    ("sync-bot", {"keys": [(180, 0.5, True, None)], "service": [("cassandra.amazonaws.com", 300, None)]}),
]
# How teams spell it. None: the user carries no owner, and the account's is what is left.
OWNER_TAGS = ["owner", "Owner", None, "team-email", "OWNER", None, "owner-email", "Contact"]
USED_BY = [("s3", "us-east-1"), ("ec2", "eu-west-1"), ("sts", "us-east-1"), ("lambda", "eu-west-1")]


def owner_of(account, number):
    """(tags, owner) of the account's user number so-and-so."""
    key = OWNER_TAGS[(number + account["number"]) % len(OWNER_TAGS)]
    if not key:
        return [{"Key": "cost-center", "Value": str(4000 + number)}], account["owner"]
    address = f"team-{number % 5}@{account['name']}.example"
    return [{"Key": "env", "Value": "prod"}, {"Key": key, "Value": address}], {"address": address, "evidence": f"user tag {key}"}


def seed_users(aws, answers, rng, account, habits=None):
    """Makes the users; returns {user: [(key id, secret), ...]}."""
    iam, number_of, keys, hooks = aws("iam", account["id"]), account["id"], {}, {}
    hook = lambda name, **body: hooks.setdefault(name, []).append({"account": number_of} | body)
    for number, (user, habit) in enumerate(habits or HABITS):
        tags, owner = owner_of(account, number)
        iam.create_user(UserName=user, Tags=tags)
        hook("user", user=user, create_date=rfc3339(answers.ago(1000)))
        keys[user] = []
        note = lambda kind, name, issued, **more: answers.credential(
            number_of, kind, name, issued, principal=f"arn:aws:iam::{number_of}:user/{user}", owner=owner, **more)
        for age, used, active, off in habit.get("keys", []):
            made = iam.create_access_key(UserName=user)["AccessKey"]
            keys[user].append((made["AccessKeyId"], made["SecretAccessKey"]))
            if not active:
                iam.update_access_key(UserName=user, AccessKeyId=made["AccessKeyId"], Status="Inactive")
            service, region = USED_BY[number % len(USED_BY)]
            last_used = {"at": rfc3339(answers.ago(used)), "service": service, "region": region} if used is not None else None
            hook("access-key", key_id=made["AccessKeyId"], create_date=rfc3339(answers.ago(age)), last_used=last_used,
                 **({"rotated": rfc3339(answers.ago(off))} if off else {}))
            note("iam-access-key", user, answers.ago(age), public_id=made["AccessKeyId"], last_used=last_used or "never",
                 status="active" if active else "inactive")
        if "password" in habit:
            changed, used = habit["password"]
            iam.create_login_profile(UserName=user, Password=chars(rng, WORD, 24) + "!1aA")
            hook("user", user=user, password_last_changed=rfc3339(answers.ago(changed)),
                 password_last_used=rfc3339(answers.ago(used)) if used is not None else None)
            note("console-password", user, answers.ago(changed),
                 last_used={"at": rfc3339(answers.ago(used)), "service": None, "region": None} if used is not None else "never")
        for service, age, left in habit.get("service", []):
            made = {"UserName": user, "ServiceName": service, "Status": "Active", "CreateDate": rfc3339(answers.ago(age)),
                    "ServiceSpecificCredentialId": "ACCA" + chars(rng, WORD[26:].upper(), 16), "ServiceUserName": f"{user}-at-{number_of}"}
            expires = answers.ago(-left) if left is not None else None
            hook("service-credential", **made, **({"ExpirationDate": rfc3339(expires)} if expires else {}))
            note("service-specific-credential", f"{user} {service}", answers.ago(age), public_id=made["ServiceSpecificCredentialId"],
                 last_used="untracked", expires_at=expires)
        for age in habit.get("ssh", []):
            body = ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)).public_key().public_bytes(
                serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
            made = iam.upload_ssh_public_key(UserName=user, SSHPublicKeyBody=body)["SSHPublicKey"]["SSHPublicKeyId"]
            hook("ssh-key", user=user, id=made, upload_date=rfc3339(answers.ago(age)))
            note("iam-ssh-key", user, answers.ago(age), public_id=made, last_used="untracked")
        for age, status in habit.get("certificates", []):
            expires = answers.ago(age - 1095)
            made = iam.upload_signing_certificate(UserName=user, CertificateBody=certificate(rng, user, answers.ago(age), expires))
            made = made["Certificate"]["CertificateId"]
            if status == "Inactive":
                iam.update_signing_certificate(UserName=user, CertificateId=made, Status=status)
            hook("signing-certificate", user=user, id=made, upload_date=rfc3339(answers.ago(age)))
            note("signing-certificate", user, answers.ago(age), public_id=made, last_used="untracked", status=status.lower(),
                 expires_at=expires)
    for name, bodies in hooks.items():
        aws.hook(name, bodies)
    return keys


def certificate(rng, name, since, until):
    key = ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
            .serial_number(rng.getrandbits(64) + 1).not_valid_before(since).not_valid_after(until).sign(key, None))
    return made.public_bytes(serialization.Encoding.PEM).decode()


def seed_root_key(aws, answers, account):
    used = {"at": rfc3339(answers.ago(300)), "service": "s3", "region": "us-east-1"}
    aws.hook("root", {"account": account["id"], "create_date": rfc3339(answers.ago(2500)), "password_last_used": rfc3339(answers.ago(40)),
                      "mfa": True, "keys": [{"active": True, "create_date": rfc3339(answers.ago(900)), "last_used": used}]})
    answers.credential(account["id"], "root-access-key", "root", answers.ago(900), principal=f"arn:aws:iam::{account['id']}:root",
                       last_used=used, owner=account["owner"])


# name, days since: created, value changed, rotated, read; owner's tag
SECRETS = [("prod/orders/db", 500, 40, 40, 1, "owner"), ("prod/mail/smtp", 300, 300, None, None, None),
           ("legacy/ftp", 900, 400, None, 250, "Owner"), ("prod/search/key", 60, 60, None, 0, None)]


def seed_secrets(aws, answers, rng, account, region):
    """Returns {name: value}, so that one of them can be planted somewhere."""
    client, values, hooks = aws("secretsmanager", account["id"], region), {}, []
    for name, created, changed, rotated, read, tag in SECRETS:
        values[name] = chars(rng, WORD, 32)
        address = f"vault@{account['name']}.example"
        arn = client.create_secret(Name=name, SecretString=values[name], Tags=[{"Key": tag, "Value": address}] if tag else [])["ARN"]
        hooks.append({"account": account["id"], "region": region, "name": name, "created": rfc3339(answers.ago(created)),
                      "changed": rfc3339(answers.ago(changed))} | {key: rfc3339(answers.ago(days)) for key, days in
                                                                   (("rotated", rotated), ("accessed", read)) if days is not None})
        # AWS tells the day of the last read only.
        day = (answers.ago(read) if read is not None else answers.now).replace(hour=0, minute=0, second=0)
        answers.credential(account["id"], "secret", name, answers.ago(changed), region=region, public_id=arn,
                           last_used={"at": rfc3339(day), "service": None, "region": region} if read is not None else "never",
                           owner={"address": address, "evidence": f"secret tag {tag}"} if tag else account["owner"],
                           created_at=rfc3339(answers.ago(created)))
    # Scheduled for deletion: not listed, and no credential any more.
    client.create_secret(Name="gone/soon", SecretString=chars(rng, WORD, 32))
    client.delete_secret(SecretId="gone/soon", RecoveryWindowInDays=30)
    aws.hook("secret", hooks)
    return values


def seed_parameters(aws, answers, rng, account, region, how_many):
    client, hooks = aws("ssm", account["id"], region), []
    for number in range(how_many):
        name, age = f"/{account['name']}/service-{number}/token", 20 + 70 * number
        client.put_parameter(Name=name, Type="SecureString", Value=chars(rng, WORD, 32))
        hooks.append({"account": account["id"], "region": region, "name": name, "modified": rfc3339(answers.ago(age))})
        answers.credential(account["id"], "ssm-secure-string", name, answers.ago(age), region=region, last_used="untracked",
                           owner=account["owner"])
    for number in range(how_many // 2):  # plain parameters are settings, not credentials
        client.put_parameter(Name=f"/{account['name']}/service-{number}/table", Type="String", Value=f"orders-{chars(rng, DIGITS, 3)}")
    aws.hook("parameter", hooks)
