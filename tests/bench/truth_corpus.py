"""Writes a folder of files with secrets and with what only looks like them, and says which line is which.

    made_up_tokens 3 > tokens.jsonl
    python3 truth_corpus.py --tokens tokens.jsonl --rules crates/overdue-detect/rules --out FOLDER --seed 1

`FOLDER/files` is to be scanned, `FOLDER/answers.jsonl` has one object for each line that matters: file, line, secret or not,
family. Secrets are made up here or come from `made_up_tokens`: nothing in this file looks like one. Same seed, same folder.
"""

import argparse
import base64
import glob
import hashlib
import json
import os
import random
import re
import string
import tomllib
import uuid

# A form: family, ending, and a text with {v} for the value and a name in the style that the language writes:
# {S} DB_PASSWORD, {s} db_password, {c} dbPassword, {P} DbPassword, {k} db-password, {d} db.password, {w} db password.
FORMS = [
    ("assign", "py", '{s} = "{v}"'), ("assign", "py", "{S} = '{v}'"), ("assign", "py", "    self.{s} = '{v}'"),
    ("assign", "py", "{s}: str = \"{v}\""), ("assign", "py", "config['{s}'] = '{v}'"), ("assign", "py", "    {s}=\"{v}\","),
    ("assign", "js", "const {c} = '{v}';"), ("assign", "ts", "  private readonly {c}: string = \"{v}\";"), ("assign", "js", "  {c}: '{v}',"),
    ("assign", "js", "process.env.{S} = '{v}'"), ("assign", "js", "var {c} = options.{c} || '{v}';"), ("assign", "java", 'private static final String {S} = "{v}";'),
    ("assign", "java", '    String {c} = "{v}";'), ("assign", "kt", 'val {c} = "{v}"'), ("assign", "go", '{c} := "{v}"'), ("assign", "go", '\t{P}: "{v}",'),
    ("assign", "go", 'const {c} = "{v}"'), ("assign", "go", 'var {P} string = "{v}"'), ("assign", "rb", "{s} = '{v}'"), ("assign", "rb", "  :{s} => \"{v}\","), ("assign", "rb", "  {s}: '{v}',"),
    ("assign", "php", "$${s} = '{v}';"), ("assign", "php", "    '{s}' => '{v}',"), ("assign", "php", "$$config['{s}'] = \"{v}\";"), ("assign", "cs", 'public const string {P} = "{v}";'),
    ("assign", "cs", 'var {c} = @"{v}";'), ("assign", "rs", 'const {S}: &str = "{v}";'), ("assign", "rs", 'let {s} = String::from("{v}");'), ("assign", "c", '#define {S} "{v}"'),
    ("assign", "c", 'static const char *{s} = "{v}";'), ("assign", "cpp", 'std::string {c}("{v}");'), ("assign", "c", 'char {s}[] = "{v}";'), ("assign", "swift", 'let {c} = "{v}"'), ("assign", "scala", 'val {c} = "{v}"'),
    ("assign", "pl", "my $${s} = '{v}';"), ("assign", "lua", 'local {s} = "{v}"'), ("assign", "m", 'NSString *{c} = @"{v}";'), ("assign", "vb", 'Dim {c} As String = "{v}"'), ("assign", "groovy", "def {c} = '{v}'"),
    ("assign", "sql", "SET @{s} = '{v}';"), ("assign", "py", '{s} = (\n    "{v}"\n)'), ("assign", "js", "const {c} =\n    '{v}';"), ("assign", "dart", "final String {c} = '{v}';"), ("assign", "ex", '  {s}: "{v}"'),
    ("config", "env", "{S}={v}"), ("config", "env", 'export {S}="{v}"'), ("config", "env", "{S}='{v}'"), ("config", "properties", "{d}={v}"), ("config", "properties", "app.{d} = {v}"),
    ("config", "ini", "{s} = {v}"), ("config", "ini", "{s}={v}"), ("config", "cfg", "{s}: {v}"), ("config", "conf", "{s} {v}"), ("config", "conf", '{s} "{v}";'), ("config", "toml", '{s} = "{v}"'), ("config", "yml", "{s}: {v}"),
    ("config", "yaml", '  {c}: "{v}"'), ("config", "yaml", "    {k}: '{v}'"), ("config", "yml", "      - {S}={v}"), ("config", "yml", '      {S}: "{v}"'), ("config", "json", '  "{c}": "{v}",'), ("config", "json", '{{"{s}":"{v}","x":1}}'),
    ("config", "tf", '  {s} = "{v}"'), ("config", "tfvars", '{s} = "{v}"'), ("config", "xml", "<{c}>{v}</{c}>"), ("config", "xml", '<add key="{P}" value="{v}" />'), ("config", "xml", '<property name="{d}" value="{v}"/>'),
    ("config", "xml", '<entry key="{s}">{v}</entry>'), ("config", "xml", '<bean {c}="{v}" id="x"/>'), ("config", "xml", '<string name="{s}">{v}</string>'), ("config", "plist", "<key>{P}</key>\n<string>{v}</string>"), ("config", "dockerfile", "ENV {S} {v}"),
    ("config", "dockerfile", "ARG {S}={v}"), ("config", "sh", "{S}={v}"), ("config", "sh", 'export {S}="{v}"'), ("config", "ps1", '$${P} = "{v}"'), ("config", "bat", "set {S}={v}"), ("config", "xml", "<name>{d}</name>\n<value>{v}</value>"), ("config", "yml", "  {c}: !str '{v}'"),
    ("pair", "yaml", "- name: {S}\n  value: {v}"), ("pair", "yaml", '- name: {S}\n  value: "{v}"'), ("pair", "yaml", "  - value: {v}\n    name: {S}"), ("pair", "json", '{{"name": "{S}", "value": "{v}"}},'),
    ("pair", "json", '{{"value": "{v}", "name": "{S}"}},'), ("pair", "json", '{{"Key": "{S}", "Value": "{v}"}},'), ("pair", "json", '  {{\n    "name": "{S}",\n    "value": "{v}"\n  }},'), ("pair", "tf", '  {{ name = "{S}", value = "{v}" }},'), ("pair", "tf", '  name  = "{S}"\n  value = "{v}"'),
    ("pair", "tf", 'variable "{s}" {{\n  type    = string\n  default = "{v}"\n}}'), ("pair", "json", '{{"ParameterKey": "{P}", "ParameterValue": "{v}"}}'), ("pair", "yaml", "- key: {s}\n  value: {v}\n"), ("pair", "sh", "helm upgrade app ./chart --set {d}={v} --wait"), ("pair", "sh", "helm install app ./chart --set env.{S}={v},replicas=2"),
    ("log", "log", "2024-03-02 10:11:12 INFO using {w} {v}"), ("log", "log", "DEBUG {w}: {v}"), ("log", "log", "[worker-3] {w} is {v}"), ("log", "log", "connected with {s}={v} in 31ms"), ("log", "log", "10:11:12 WARN auth failed, {c}={v}, retrying"), ("log", "log", 'time=10:11 level=info msg="start" {s}="{v}"'),
    ("log", "txt", "the {w} for staging is {v}"), ("log", "md", "Set the {w} to `{v}` first."), ("log", "md", "- {w}: `{v}`"), ("log", "py", "# {w}: {v}"), ("log", "js", "// old {w}: {v}"), ("log", "log", "{{\"level\":\"info\",\"msg\":\"{w} = {v}\"}}"), ("log", "py", "print('using {w} {v}')"),
    ("call", "py", "client = {P}Client('{v}')"), ("call", "py", "client.set_{s}('{v}')"), ("call", "py", "os.environ.setdefault('{S}', '{v}')"), ("call", "py", "os.getenv('{S}', '{v}')"), ("call", "py", "config.set('{d}', \"{v}\")"), ("call", "java", 'builder.{c}("{v}").build();'), ("call", "java", 'props.put("{d}", "{v}");'), ("call", "java", 'config.set{P}("{v}");'),
    ("call", "js", "req.setHeader('X-{k}', '{v}');"), ("call", "go", 'req.Header.Set("X-{k}", "{v}")'), ("call", "go", 'os.Setenv("{S}", "{v}")'), ("call", "rs", '.header("x-{k}", "{v}")'), ("call", "php", "define('{S}', '{v}');"), ("call", "rb", "ENV['{S}'] ||= '{v}'"), ("call", "rb", "ENV.fetch('{S}', '{v}')"), ("call", "cs", 'Environment.SetEnvironmentVariable("{S}", "{v}");'),
    ("call", "py", "{s} = os.environ.get('{S}') or '{v}'"), ("call", "js", "const {c} = process.env.{S} ?? '{v}'"), ("call", "cpp", 'setenv("{S}", "{v}", 1);'), ("call", "py", "parser.add_argument('--{k}', default='{v}')"), ("call", "kt", 'buildConfigField("String", "{S}", "\\"{v}\\"")'), ("call", "js", "localStorage.setItem('{c}', '{v}')"),
    ("flag", "sh", "tool login --{k} {v} --verbose"), ("flag", "sh", "tool login --{k}={v}"), ("flag", "sh", "{S}={v} ./run.sh"), ("flag", "sh", "docker run -e {S}={v} acme/app"), ("flag", "sh", "tool --{k} '{v}' run"), ("flag", "sh", "java -D{d}={v} -jar app.jar"), ("flag", "yml", "    command: tool --{k} {v}"), ("flag", "json", '  "args": ["--{k}", "{v}"],'),
    ("url", "txt", "https://api.acme.io/v1/items?{s}={v}&page=2"), ("url", "js", 'fetch("https://api.acme.io/v1/items?limit=3&{s}={v}")'), ("url", "py", "r = get('https://api.acme.io/x?{c}={v}')"), ("header", "sh", "curl -H 'X-{k}: {v}' https://api.acme.io"), ("header", "http", "X-{k}: {v}"), ("header", "js", "headers: {{ 'X-{k}': '{v}' }}"), ("header", "sh", 'curl -d \'{{"{s}":"{v}"}}\' https://api.acme.io'),
]
# Forms that only a password has: no name but what the tool itself means.
PASSWORD_FORMS = [
    ("tool", "sh", "curl -u deploy:{v} https://files.acme.io/x"), ("tool", "sh", "mysql -h db -uroot -p{v} orders"), ("tool", "sh", "sshpass -p '{v}' ssh me@box"), ("tool", "sh", "sshpass -p {v} ssh me@box"), ("tool", "sh", "PGPASSWORD={v} psql -h db"), ("tool", "sh", "docker login -u deploy -p {v} registry.acme.io"), ("tool", "sh", "echo '{v}' | docker login --password-stdin"),
    ("tool", "sql", "CREATE USER app IDENTIFIED BY '{v}';"), ("tool", "sql", "CREATE USER app WITH PASSWORD '{v}';"), ("tool", "sql", "ALTER LOGIN app WITH PASSWORD = '{v}';"), ("tool", "sql", "GRANT ALL ON *.* TO 'app'@'%' IDENTIFIED BY \"{v}\";"), ("tool", "config", 'ConnectionString="Server=db;Database=x;User Id=app;Password={v};"'), ("tool", "cs", 'var c = "Data Source=db;User ID=app;Pwd={v};Timeout=3";'),
    ("tool", "netrc", "machine git.acme.io login deploy password {v}"), ("tool", "pgpass", "db.acme.io:5432:orders:app:{v}"), ("tool", "py", "conn = connect(host='db', user='app', passwd='{v}')"), ("tool", "py", "auth=('deploy', '{v}')"), ("tool", "java", 'DriverManager.getConnection(url, "app", "{v}");'), ("tool", "sh", "redis-cli -a {v} ping"), ("tool", "sh", "mongo -u app -p {v} admin"), ("tool", "sh", "wget --user=a --password='{v}' https://x.acme.io"),
    ("tool", "py", "requests.get(url, auth=HTTPBasicAuth('deploy', '{v}'))"), ("tool", "sh", "echo root:{v} | chpasswd"), ("tool", "sh", "zip -P {v} out.zip in"), ("tool", "sh", "openssl rsa -passin pass:{v} -in a.key"), ("tool", "sh", "smbclient //x/y -U deploy%{v}"),
    ("tool", "sh", "Authorization: Basic {b64}"), ("tool", "yml", "url: postgres://app:{q}@db.acme.io/x"), ("tool", "js", "mongoose.connect('mongodb://app:{q}@db.acme.io/x')"), ("tool", "php", "mysqli_connect('db', 'app', '{v}', 'orders');"), ("tool", "sh", "ldapsearch -D cn=admin -w {v} -b dc=x"),
]
PASSWORD_NAMES = ["db password", "password", "admin password", "smtp password", "user passwd", "root pwd", "mysql pass", "ldap bind password", "keystore password", "passphrase", "proxy pass", "jdbc password", "test password"]
TOKEN_NAMES = ["api key", "auth token", "access token", "client secret", "secret key", "token", "app secret", "encryption key", "signing key", "private key", "session secret", "bot token", "webhook secret", "consumer key", "license key", "service key", "api token", "jwt secret", "secret", "deploy key", "api secret"]
SALT_NAMES = ["salt", "password salt", "hash salt", "nonce", "seed", "auth salt", "cookie salt"]
WORDS = "summer winter spring autumn orange banana dragon monkey shadow master silver golden tiger falcon rocket pepper coffee london berlin madrid boston knight wizard castle bridge thunder hunter welcome monday friday company office server cluster backup deploy jenkins oracle billing orders network".split()
MARKS = "!@#$%&*+?-_."


def styles(words):
    words = words.split()
    caps = [w.capitalize() for w in words]
    return {"S": "_".join(words).upper(), "s": "_".join(words), "c": words[0] + "".join(caps[1:]), "P": "".join(caps), "k": "-".join(words), "d": ".".join(words), "w": " ".join(words)}


def human_password(r):
    w, v = r.choice(WORDS), r.choice(WORDS)
    year = str(r.randint(1985, 2026))
    kinds = [
        lambda: w.capitalize() + year + r.choice("!@#$*"),
        lambda: w[:1] + w[1:].replace("o", "0").replace("e", "3").replace("a", "4") + r.choice("!&#@") + str(r.randint(1, 99)),
        lambda: r.choice(["p@ss", "P@ssw0rd", "s3cr3t", "Adm1n", "r00t"]) + r.choice("-_.#") + w[:5] + str(r.randint(10, 999)),
        lambda: w.capitalize() + v.capitalize() + str(r.randint(1, 9999)),
        lambda: w + r.choice("-_.") + v + r.choice("-_.") + str(r.randint(10, 99)),
        lambda: w.capitalize() + r.choice("@#!") + str(r.randint(100, 9999)),
        lambda: w + str(r.randint(100, 99999)),
        lambda: "".join(r.choice(string.ascii_letters + string.digits + MARKS) for _ in range(r.randint(8, 20))),
        lambda: "".join(r.choice(string.ascii_letters + string.digits) for _ in range(r.randint(8, 24))),
        lambda: "".join(r.choice(string.ascii_lowercase + string.digits) for _ in range(r.randint(8, 16))),
        lambda: "".join(r.choice(string.ascii_lowercase) for _ in range(r.randint(8, 14))),
    ]
    return r.choice(kinds)()


def obscured(r):
    """A short human password as data sets publish it: each character replaced by another one of its class."""
    plain = r.choice([r.choice(WORDS), r.choice(WORDS) + str(r.randint(1, 999)), r.choice(WORDS).capitalize() + r.choice("!@#-") + str(r.randint(1, 99)), r.choice(WORDS)[:5] + str(r.randint(10, 99))])
    swap = lambda c: r.choice(string.ascii_lowercase) if c.islower() else r.choice(string.ascii_uppercase) if c.isupper() else r.choice(string.digits) if c.isdigit() else c
    return "".join(map(swap, plain))


def random_token(r):
    alphabets = [string.ascii_letters + string.digits, string.ascii_lowercase + string.digits, "0123456789abcdef", string.ascii_uppercase + string.digits, string.ascii_letters + string.digits + "-_"]
    alphabet = r.choice(alphabets)
    if r.random() < 0.15:
        return base64.b64encode(r.randbytes(r.choice([18, 24, 32, 33]))).decode()
    if r.random() < 0.1:
        return str(uuid.UUID(bytes=r.randbytes(16), version=4))
    return "".join(r.choice(alphabet) for _ in range(r.choice([20, 24, 32, 32, 40, 48, 64])))


def salt(r):
    return r.choice([random_token(r)[:32], "".join(r.choice(string.ascii_letters + string.digits + "!@#%^&*") for _ in range(r.randint(12, 40)))])


def not_secret(r):
    """A value that somebody writes where a secret would stand, and its family."""
    w, v, u = r.choice(WORDS), r.choice(WORDS), r.choice(WORDS)
    hexed = lambda n: "".join(r.choice("0123456789abcdef") for _ in range(n))
    return r.choice([
        ("placeholder", r.choice(["password", "changeme", "change_me", "xxxx", "xxxxxxxxxxxxxxxx", "example", "<token>", "<your-api-key>", "your-api-key-here", "YOUR_API_KEY", "********", "...", "todo", "secret", "test", "dummy", "none", "null", "my-secret-token", "replace-with-real-key", "[REDACTED]", "insert_key_here", "foobar", "12345678", "abc123", "mysecretpassword", "TBD", "n/a", "fake-token", "test-api-key", "0000000000000000", "1234567890abcdef"])),
        ("template", r.choice(["${TOKEN}", "${DB_PASSWORD:-}", "{{ .Values.password }}", "$DB_PASSWORD", "%(password)s", "#{password}", "{password}", "@password@", "%TOKEN%", "<%= @password %>", "$(cat /run/secrets/db)", "__TOKEN__", "{0}", "%s", "${{ secrets.TOKEN }}", "$1", "&password=", "vault:secret/data/db#password", "{{password}}", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db"])),
        ("words", r.choice([f"{w} {v}", f"Enter your {w}", f"Please {w} the {v} again", f"{w}_{v}", f"{w}-{v}-{u}", f"{w}{v.capitalize()}{u.capitalize()}", f"{w}.{v}.{u}", f"{w.upper()}_{v.upper()}", w, "Enter your password", "Passwort vergessen?", "Mot de passe oublié", "Invalid token", "forgot-password", f"{w}Service", f"com.acme.{w}.{v}", f"x-{w}-{v}", f"{w}:{v}", f"urn:{w}:{v}", f"{w}/{v}/{u}", "string", "text", "password_confirmation", "userPassword", "current-password", f"input-{w}", f"#{w}-{v}", f".{w}_{v}", f"{w}[{v}]"])),
        ("path", r.choice([f"/run/secrets/{w}", f"/etc/ssl/{w}.pem", f"./{w}/{v}.key", f"~/.{w}/token", f"C:\\{w}\\{v}.txt", f"https://auth.acme.io/{w}/{v}", f"{w}.json", f"s3://{w}-{v}/x", f"../{w}/{v}", f"/{w}/{v}/reset"])),
        ("number", r.choice(["8", "3600", "1.2.3", "2024-03-02", "true", "false", "0x1f", "86400", "127.0.0.1:8080", "10.0.0.0/8"])),
    ])


CODE_NEGATIVES = [
    ("expression", "py", "{s} = os.environ['{S}']"), ("expression", "py", "{s} = get_{s}()"), ("expression", "py", "{s} = self._{s}"), ("expression", "py", "{s} = request.json['{s}']"), ("expression", "js", "const {c} = await get{P}(user, {n});"), ("expression", "js", "const {c} = req.body.{c};"), ("expression", "js", "{c}: this.{c},"), ("expression", "go", "{c} := os.Getenv(\"{S}\")"), ("expression", "go", "{c}, err := load{P}(ctx, \"{w1}\")"),
    ("expression", "java", "String {c} = config.get{P}();"), ("expression", "java", "this.{c} = {c};"), ("expression", "rb", "{s} = ENV.fetch('{S}')"), ("expression", "php", "$${s} = $$_POST['{s}'];"), ("expression", "php", "if ($${s} == '') {{ return; }}"), ("expression", "c", "strcpy({s}, argv[{n}]);"), ("expression", "rs", "let {s} = env::var(\"{S}\")?;"), ("expression", "cs", "var {c} = Configuration[\"{P}\"];"), ("expression", "sh", "{S}=$(cat /run/secrets/{s})"), ("expression", "sh", "read -s -p \"Enter {w}: \" {s}"), ("expression", "tf", "  {s} = var.{s}"), ("expression", "tf", "  {s} = data.aws_ssm_parameter.{s}.value"), ("expression", "yml", "  {s}: !Ref {P}"), ("expression", "yml", "      valueFrom:\n        secretKeyRef:\n          name: {k}\n          key: {s}"),
    ("types", "ts", "  {c}: string;"), ("types", "ts", "{c}?: {P}Options;"), ("types", "py", "def login(user: str, {s}: Optional[str] = None) -> bool:"), ("types", "go", "\t{P} string `json:\"{c},omitempty\"`"), ("types", "java", "private {P}Provider {c}Provider;"), ("types", "rs", "pub {s}: Option<String>,"), ("types", "sql", "  {s} VARCHAR(255) NOT NULL,"), ("types", "proto", "string {s} = {n};"), ("types", "graphql", "  {c}: String!"), ("types", "c", "static int check_{s}(const char *{s}, size_t len);"),
    ("prose", "md", "The `{s}` option sets the {w} that the client sends."), ("prose", "md", "If the {w} is wrong, the server answers 401 and the {w} must be entered again."), ("prose", "py", "raise ValueError('{w} must not be empty')"), ("prose", "js", "throw new Error(\"Missing {w}: set {S}\");"), ("prose", "log", "10:11:12 INFO {w} was rotated for tenant {w1}"), ("prose", "log", "2024-03-02 ERROR no {w} given, using anonymous"), ("prose", "java", "@ApiParam(value = \"The {w} of the user\", required = true)"), ("prose", "txt", "Usage: tool --{k} <{w}> --user NAME"), ("prose", "sh", "echo \"usage: $$0 --{k} {S}\""), ("prose", "py", "help='the {w} to use, see docs'"), ("prose", "json", '  "{c}": "Please enter the {w}",'), ("prose", "properties", "label.{d}=Your {w}"), ("prose", "po", 'msgid "{w}"\nmsgstr "Das {w1}"'),
    ("other-name", "py", "{s}_url = 'https://acme.io/{w1}/{n}'"), ("other-name", "py", "{s}_hash = '{h32}'"), ("other-name", "py", "{s}_id = '{uuid}'"), ("other-name", "js", "const {c}Header = 'X-{k}-{w1}';"), ("other-name", "js", "{c}Field: '{w1}_{w2}',"), ("other-name", "java", 'public static final String {S}_PROPERTY = "acme.{w1}.{w2}";'), ("other-name", "yml", "{s}_file: /run/secrets/{w1}"), ("other-name", "tf", '  {s}_name = "{w1}-{w2}-{n}"'), ("other-name", "yml", "  secretName: {w1}-{w2}-tls"), ("other-name", "css", ".{k}-input {{ color: #{h6}; }}"), ("other-name", "html", '<input type="password" name="{s}" id="{c}{n}" placeholder="{w}">'), ("other-name", "html", '<label for="{s}">{w1} {w2}</label>'), ("other-name", "py", "form.{s}.data = '{w1}'"),
]
LOOKALIKES = [
    ("hash", "json", '"md5": "{h32}",'), ("hash", "txt", "{h64}  {w1}-{n}.tar.gz"), ("hash", "py", "sha256 = '{h64}'"), ("hash", "toml", 'checksum = "{h64}"'), ("hash", "json", '"integrity": "sha512-{b64}==",'), ("hash", "yml", "image: acme/{w1}@sha256:{h64}"), ("hash", "log", "commit {h40}"), ("hash", "json", '"etag": "{h32}",'), ("hash", "yml", "- uses: actions/checkout@{h40}"), ("hash", "go", "github.com/acme/{w1} v1.{n}.0 h1:{b43}="), ("hash", "py", "ETAG = '{h40}'"), ("hash", "json", '"gitHead": "{h40}",'), ("hash", "py", "cache_key = '{h40}'"),
    ("uuid", "json", '"id": "{uuid}",'), ("uuid", "sql", "INSERT INTO {w1} VALUES ('{uuid}', '{w2}', {n});"), ("uuid", "cs", '[Guid("{uuid}")]'), ("uuid", "log", "request {uuid} took {n} ms"), ("uuid", "yml", "subscription_id: {uuid}"),
    ("data", "css", "background: url(data:image/png;base64,{b200});"), ("data", "js", "!function(e,t){{var n=e.{w1},r=\"{w2}\";return t(n,r,{n})}}(this,function(a,b){{return a[b]||{n}}});"), ("data", "xml", '<path d="M{n} 4.2l-3.{n} 2c{n}.1.3-{n}"/>'), ("data", "py", "KEYS = ['{w1}', '{w2}', '{w1}_{w2}']"), ("data", "js", "const keyCode = {n}; const key = '{w1}';"), ("data", "js", "key: '{w1}-{n}-{w2}',"), ("data", "txt", "{b200}"), ("data", "svg", '<image href="data:image/png;base64,{b200}"/>'), ("data", "pem", "{b64b}"), ("data", "js", "  onKeyDown(event) {{ if (event.key === 'Enter{n}') this.{w1}(); }}"), ("data", "py", "primary_key = '{w1}_{w2}_{n}'"), ("data", "json", '"key": "{w1}.{w2}",'), ("data", "sql", "PRIMARY KEY ({w1}_id, {w2}_id),"), ("data", "py", "author = '{w1} {w2}'"), ("data", "js", "sourceMappingURL={w1}.js.map"), ("data", "html", '<script src="/static/{w1}.{h16}.js"></script>'), ("data", "rs", "fn {w1}_{w2}(key: &str, token: Token) -> Result<Key, Error> {{"),
]


class Writer:
    """Puts snippets into files of their type, with something between them, and keeps the answers."""

    def __init__(self, folder, r):
        self.folder, self.r, self.files, self.answers, self.count = folder, r, {}, [], {}

    def put(self, ending, text, label, family, secret=None):
        number = self.count.get(ending, 0) // 40
        self.count[ending] = self.count.get(ending, 0) + 1
        name = {"dockerfile": "Dockerfile", "env": ".env", "netrc": ".netrc", "pgpass": ".pgpass"}.get(ending, f"file.{ending}")
        path = f"{ending}{number}/{name}"
        lines = self.files.setdefault(path, [])
        filler = {"json": "", "log": "10:00:00 INFO ready"}.get(ending, "")
        lines += [filler] * 2 + [" ".join(self.r.choice(WORDS) for _ in range(9)) if ending in ("txt", "md", "log") else ""] + ["." * 150 if ending in ("txt", "md") else ""]
        first = len(lines) + 1
        new = text.split("\n")
        lines += new
        at = next((i for i, line in enumerate(new) if secret and secret in line), 0)
        if secret and secret not in new[at]:
            return
        self.answers.append({"file": path, "line": first + at, "last": first + len(new) - 1, "secret": label, "family": family})

    def write(self):
        for path, lines in self.files.items():
            target = os.path.join(self.folder, "files", path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
        with open(os.path.join(self.folder, "answers.jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(answer) + "\n" for answer in self.answers)


def fill(template, names, value, r, bare):
    value = value.replace("\\", "\\\\") if not bare else value
    escaped = {"b64": base64.b64encode(f"deploy:{value}".encode()).decode(), "q": "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in value)}
    return template.format(v=value, **names, **escaped).replace("$$", "$")


def is_bare(template):
    at = template.find("{v}")
    return at <= 0 or template[at - 1] not in "\"'`"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", required=True)
    parser.add_argument("--rules", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    r = random.Random(options.seed)
    out = Writer(options.out, r)
    rules = {}
    for path in sorted(glob.glob(os.path.join(options.rules, "*.toml"))):
        with open(path, "rb") as file:
            rules.update({rule["id"]: rule for rule in tomllib.load(file).get("rule", [])})

    def hexed(n):
        return "".join(r.choice("0123456789abcdef") for _ in range(n))

    def negative(family, ending, template, words):
        b = lambda n: base64.b64encode(r.randbytes(n)).decode().rstrip("=")
        text = template.format(**styles(words), n=r.randint(2, 99), w1=r.choice(WORDS), w2=r.choice(WORDS), h6=hexed(6), h16=hexed(16), h32=hexed(32), h40=hexed(40), h64=hexed(64), uuid=uuid.UUID(bytes=r.randbytes(16), version=4), b64=b(64), b43=b(32), b200=b(900), b64b=b(48))
        out.put(ending, text.replace("$$", "$"), False, f"no.{family}")

    with open(options.tokens, encoding="utf-8") as file:
        made = [json.loads(line) for line in file]
    for token in made:
        rule = rules[token["rule"]]
        if token["rule"].startswith("generic.") or token["id_only"]:
            continue
        kind = "near" if rule.get("keywords") else "form"
        if "\n" in token["secret"] or rule.get("pair") or rule.get("matcher"):
            ending = "txt" if rule.get("matcher") == "jwt" else r.choice(["txt", "cfg", "yml"])
            out.put(ending, token["text"], True, "rule.example", token["public_id"] if rule.get("pair") and token["public_id"] else token["secret"].split("\n")[0])
            continue
        service = re.sub(r"[^a-z0-9]+", " ", token["rule"].split(".")[0]).strip()
        if kind == "near" and not any(k.replace("-", " ").replace("_", " ").strip() in service for k in rule["keywords"]):
            service = re.sub(r"[^a-z0-9]+", " ", rule["keywords"][0].lower()).strip()
        what = re.sub(r"[^a-z0-9]+", " ", (rule.get("names") or [r.choice(["api key", "token", "secret", "api token", "key"])])[0]).replace("apikey", "api key")
        words = service if what in service else f"{service} {what}"
        for family, ending, template in r.sample(FORMS, 14):
            out.put(ending, fill(template, styles(words), token["secret"], r, is_bare(template)), True, f"{kind}.{family}", token["secret"])
    for _ in range(6):
        for family, ending, template in FORMS:
            for names, value, group in [(PASSWORD_NAMES, human_password(r), "password"), (PASSWORD_NAMES, obscured(r), "obscured"), (TOKEN_NAMES, random_token(r), "token")] + ([(SALT_NAMES, salt(r), "salt")] if r.random() < 0.4 and family in ("assign", "config", "call") else []):
                if is_bare(template) and re.search(r"[^\w.@!%+/=*-]|^[^\w]", value):
                    value = re.sub(r"[^\w.@!%+/=*-]|^[^\w]", "x", value)
                words = r.choice(names)
                if family == "call" and "Client(" in template:
                    words = "acme " + words
                out.put(ending, fill(template, styles(words), value, r, is_bare(template)), True, f"{group}.{family}", value)
        for family, ending, template in PASSWORD_FORMS:
            value = re.sub(r"[^\w.@!%+=*-]|^[^\w]", "x", human_password(r))
            shown = value if "{v}" in template else fill("{b64}" if "{b64}" in template else "{q}", {}, value, r, True)
            out.put(ending, fill(template, {}, value, r, True), True, f"password.{family}", shown)
    for _ in range(14):
        for family, ending, template in FORMS:
            words = r.choice(PASSWORD_NAMES + TOKEN_NAMES)
            kind, value = not_secret(r)
            if (is_bare(template) and " " in value) or (family == "call" and "Client(" in template):
                continue
            out.put(ending, fill(template, styles(words), value, r, True), False, f"no.{kind}")
    for _ in range(30):
        for family, ending, template in CODE_NEGATIVES:
            negative(family, ending, template, r.choice(PASSWORD_NAMES + TOKEN_NAMES + SALT_NAMES))
        for family, ending, template in LOOKALIKES:
            negative(family, ending, template, "x")
    out.write()
    print(f"{len(out.files)} files, {sum(a['secret'] for a in out.answers)} secrets, {sum(not a['secret'] for a in out.answers)} look-alikes, sha256 {hashlib.sha256(json.dumps(out.answers).encode()).hexdigest()[:12]}")


if __name__ == "__main__":
    main()
