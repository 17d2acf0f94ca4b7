"""Made-up credentials, one maker a detection rule, all from a seeded random.Random.

Nothing here is a token: each is put together when a world is seeded, with the checksums a real one has, so that this
repository stays clean under its own gate. No maker prints what it makes.
"""
import base64
import json
import string
import zlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

LETTERS, DIGITS = string.ascii_letters, string.digits
WORD = LETTERS + DIGITS            # base62
SAFE = WORD + "-_"                 # base64 for URLs
BASE32 = string.ascii_uppercase + "234567"


@dataclass
class Planted:
    """One made-up credential: as it is written down, and what of it is secret."""
    rule: str
    text: str                       # what stands in a file; several lines for some
    secret: str                     # the confidential part alone
    public_id: str | None = None    # the part that may be shown and joined
    joins_to: object = None         # {"account", "public_id"}, "unknown-account:<12 digits>", or None


def chars(rng, alphabet, count):
    return "".join(rng.choices(alphabet, k=count))


def checksum(body):
    """The CRC-32 in six characters of base 62 by which GitHub and npm tell a typo from a token."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = (DIGITS + string.ascii_uppercase + string.ascii_lowercase)[digit] + digits
    return digits


def with_checksum(rng, prefix):
    body = chars(rng, WORD, 30)
    return prefix + body + checksum(body)


def access_key_id(rng, account):
    """An AKIA id of that account: AWS puts the account number, halved, into characters 5 to 12 and its last bit after them."""
    number = int(account)
    head = base64.b32encode((number // 2 + (1 << 39)).to_bytes(5, "big")).decode()
    return "AKIA" + head + rng.choice(BASE32[16:] if number % 2 else BASE32[:16]) + chars(rng, BASE32, 7)


def aws_pair(key_id, secret, account, audited=True):
    joins = {"account": account, "public_id": key_id} if audited else f"unknown-account:{account}"
    return Planted("aws.access-key", f'aws_access_key_id = "{key_id}"\naws_secret_access_key = "{secret}"', secret, key_id, joins)


def aws_unknown_pair(rng, account):
    return aws_pair(access_key_id(rng, account), chars(rng, WORD + "+/", 40), account, audited=False)


def aws_id_alone(key_id, account):
    return Planted("aws.access-key-id", f"# signs as {key_id} until the migration is done", key_id, key_id,
                   {"account": account, "public_id": key_id})


def pem(rng):
    key = ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return Planted("private-key.pem", text, text.strip())


def gcp_service_account(rng):
    # The one thing here that no seed repeats: the library takes no random source for RSA.
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    key_id, project = chars(rng, "0123456789abcdef", 40), f"acme-{chars(rng, DIGITS, 4)}"
    text = json.dumps({"type": "service_account", "project_id": project, "private_key_id": key_id, "private_key": key,
                       "client_email": f"exporter@{project}.iam.gserviceaccount.com", "client_id": chars(rng, DIGITS, 21),
                       "token_uri": "https://oauth2.googleapis.com/token"}, indent=2)
    return Planted("gcp.service-account-key", text, key.strip(), key_id)


def azure_storage(rng):
    key, name = base64.b64encode(rng.randbytes(64)).decode(), f"acme{chars(rng, string.ascii_lowercase, 6)}"
    return Planted("azure.storage-account-key", f"DefaultEndpointsProtocol=https;AccountName={name};AccountKey={key};"
                   "EndpointSuffix=core.windows.net", key)


def database_url(rng):
    user, host = f"app_{chars(rng, string.ascii_lowercase, 4)}", f"db-{chars(rng, DIGITS, 3)}.internal.acme.example"
    url = f"postgres://{user}:{chars(rng, WORD, 20)}@{host}:5432/orders"
    return Planted("database.url", url, url)


def generic(rng):
    value = chars(rng, WORD, 28)
    return Planted("generic.assignment", f'password = "{value}"', value)


def pypi(rng):
    body = base64.urlsafe_b64encode(b"\x02\x01\x08pypi.org" + b"\x02$" + rng.randbytes(110)).decode().rstrip("=")
    return f"pypi-{body}"


WHOLE = {  # rules whose token is one string, all of it secret
    "github.pat": lambda r: with_checksum(r, "ghp_"),
    "github.fine-grained-pat": lambda r: f"github_pat_{chars(r, WORD, 22)}_{chars(r, WORD, 59)}",
    "gitlab.pat": lambda r: f"glpat-{chars(r, SAFE, 20)}",
    "slack.bot-token": lambda r: f"xoxb-{chars(r, '123456789', 12)}-{chars(r, '123456789', 13)}-{chars(r, WORD, 24)}",
    "slack.webhook": lambda r: "https://hooks.slack.com/services/T{}/B{}/{}".format(
        chars(r, string.ascii_uppercase + DIGITS, 10), chars(r, string.ascii_uppercase + DIGITS, 10), chars(r, WORD, 24)),
    "stripe.secret-key": lambda r: f"sk_live_{chars(r, WORD, 24)}",
    "sendgrid.api-key": lambda r: f"SG.{chars(r, WORD, 22)}.{chars(r, WORD, 43)}",
    "npm.access-token": lambda r: with_checksum(r, "npm_"),
    "pypi.upload-token": pypi,
    "openai.api-key": lambda r: f"sk-proj-{chars(r, WORD, 74)}T3BlbkFJ{chars(r, WORD, 74)}",
    "anthropic.api-key": lambda r: f"sk-ant-api03-{chars(r, WORD, 93)}AA",
    "google.api-key": lambda r: f"AIza{chars(r, WORD, 35)}",
    "digitalocean.pat": lambda r: f"dop_v1_{chars(r, '0123456789abcdef', 64)}",
    "huggingface.token": lambda r: f"hf_{chars(r, LETTERS, 34)}",
    "telegram.bot-token": lambda r: f"{chars(r, '123456789', 10)}:AA{chars(r, WORD, 33)}",
    "shopify.access-token": lambda r: f"shpat_{chars(r, '0123456789abcdef', 32)}",
}
MADE = {"private-key.pem": pem, "gcp.service-account-key": gcp_service_account, "azure.storage-account-key": azure_storage,
        "database.url": database_url, "generic.assignment": generic}


def make(rule, rng):
    if rule in MADE:
        return MADE[rule](rng)
    text = WHOLE[rule](rng)
    return Planted(rule, text, text)


# ---- noise: what looks like a credential and is none ----

def uuid(rng):
    h = chars(rng, "0123456789abcdef", 32)
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def noise_files(rng, how_many=6):
    """File name -> text. Realistic, high in entropy in places, and without a credential."""
    hexes = lambda n: chars(rng, "0123456789abcdef", n)
    example = "AKIA" + "IOSFODNN7" + "EXAMPLE"           # AWS's own documentation uses this pair
    example_secret = "wJalrXUtnFEMI" + "/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
    files = {
        "handler.py": "import json\nimport os\n\nTABLE = os.environ['TABLE_NAME']\nTRACE = '%s'\n\n\ndef handler(event, context):\n"
                      "    return {'statusCode': 200, 'body': json.dumps({'commit': '%s'})}\n" % (uuid(rng), hexes(40)),
        "package-lock.json": json.dumps({"lockfileVersion": 3, "packages": {f"node_modules/dep{i}": {
            "version": f"1.{i}.0", "resolved": f"https://registry.npmjs.org/dep{i}/-/dep{i}-1.{i}.0.tgz",
            "integrity": "sha512-" + base64.b64encode(rng.randbytes(64)).decode()} for i in range(12)}}, indent=2),
        "static/app.min.js": "!function(e,t){" + "".join(
            f"var {chars(rng, LETTERS, 2)}{i}=function(n){{return n.{chars(rng, LETTERS, 3)}^0x{hexes(8)}}};"
            for i in range(120)) + "}(window);\n",
        "requirements.lock": "".join(f"dep{i}==2.{i}.1 --hash=sha256:{hexes(64)}\n" for i in range(20)),
        "README.md": f"# Set-up\n\nPut your key into the environment, for example {example} with\n{example_secret}.\n\n"
                     "    export API_TOKEN=${TOKEN}\n    export GITHUB_TOKEN=<your-key>\n    export PASSWORD=changeme\n"
                     "    export DATABASE_URL=postgres://app:${DB_PASSWORD}@db/orders\n",
        "config/defaults.yaml": f"password: changeme\napi_key: \"<your-key>\"\ntoken: ${{TOKEN}}\ngithub_token: ghp_{'x' * 36}\n"
                                f"build_id: {uuid(rng)}\nimage: registry.example/app@sha256:{hexes(64)}\nsecret_name: prod/orders/db\n",
        "docs/keys.pub": "-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(rng.randbytes(44)).decode() + "\n-----END PUBLIC KEY-----\n",
        # The right letters and length, the wrong checksum: no GitHub token.
        "tests/fixture.txt": "token=" + broken_checksum(rng) + "\n",
    }
    names = list(files)
    return {name: files[name] for name in (names if how_many >= len(names) else ["handler.py"] + rng.sample(names[1:], how_many - 1))}


def broken_checksum(rng):
    token = with_checksum(rng, "ghp_")
    return token[:-1] + ("a" if token[-1] != "a" else "b")
