"""moto_server, closer to AWS, with hooks for tests. One process, one port.

usage: moto_plus.py --port P [--strict-assume]      (P = 0: any free port; prints "ready http://127.0.0.1:P")

Closer to AWS than moto is:
  iam     ListUsers and GetAccountAuthorizationDetails are paged; ListServiceSpecificCredentials exists; the credential
          report has AWS's columns and words, a root row, takes two calls to be made, and may be hours old
  lambda  ListFunctions and ListVersionsByFunction give 50 a page; code and layers can be downloaded (signed URL, this server)
  ec2, account  DescribeRegions and ListRegions know this world's enabled regions only
  sts     --strict-assume: the role must exist and its trust policy must admit the caller's account and the ExternalId
  errors  of moto's authorization have each protocol's own shape (moto answers everybody in IAM's XML)

Authorization is moto's own, off at first: POST /__test/authorization {"on": true}. It knows actions and resources, not
conditions. An action the caller's policies lack is AccessDenied for that action alone.

Hooks (JSON in and out; a POST takes one object or a list of them; dates are RFC 3339):
  GET /__test/calls · POST /__test/calls/reset        calls by "service:Operation", downloads, bytes
  POST /__test/fault · DELETE /__test/fault           see faults.py
  POST /__test/<hook>                                 see HOOKS at the end of this file

It reaches into moto's internals, so requirements.txt pins moto.
"""
import argparse
import datetime as dt
import hashlib
import json
import re
import secrets
from collections import defaultdict
from urllib.parse import quote

from moto import settings
from moto.account import urls as account_urls
from moto.account.responses import AccountResponse
from moto.awslambda.models import LambdaFunction, LayerVersion, lambda_backends
from moto.awslambda.responses import LambdaResponse
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models.availability_zones_and_regions import Region
from moto.ec2.responses.availability_zones_and_regions import AvailabilityZonesAndRegions
from moto.iam import access_control
from moto.iam.models import AccessKeyLastUsed, iam_backends
from moto.iam.responses import IamResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.organizations.models import organizations_backends
from moto.secretsmanager.models import FakeSecret, secretsmanager_backends
from moto.ssm.models import ssm_backends
from moto.sts.responses import TokenResponse
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from faults import AwsError, Faults, Refused, call_of

# What the hooks know and moto does not. `base` is filled in once the port is known.
ENABLED_BY_DEFAULT = ["ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
                      "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
                      "us-east-1", "us-east-2", "us-west-1", "us-west-2"]
NOT_OPTED_IN = ["af-south-1", "ap-east-1", "eu-south-1", "me-south-1"]
SIGNING_KEY = secrets.token_hex(16)  # so that a code URL cannot be guessed, as on AWS
faults = Faults()


class World:
    base = ""

    def __init__(self):
        self.now = None                      # None: the machine's clock
        self.regions = ENABLED_BY_DEFAULT
        self.root = {}                       # account -> the root user's row, see set_root
        self.report_as_of = {}               # account -> date of a report that exists already
        self.report_calls = defaultdict(int)
        self.service_credentials = defaultdict(list)


world = World()


def instead(cls):
    """Replaces, or adds, the method of the same name."""
    def put(function):
        setattr(cls, function.__name__, function)
        return function
    return put


def date(text):
    """As moto keeps dates: in UTC, and without saying so."""
    return dt.datetime.fromisoformat(text).astimezone(dt.timezone.utc).replace(tzinfo=None) if text else None


def page(items, size, marker):
    """One page of `items` and the marker of the next, or None."""
    start = int(marker.removeprefix("from-")) if marker else 0
    end = start + int(size)
    return items[start:end], f"from-{end}" if end < len(items) else None


# ---- iam ----

@instead(IamResponse)
def list_users(self):
    users = sorted(self.backend.list_users(self._get_param("PathPrefix"), None, None), key=lambda user: user.name)
    users, marker = page(users, self._get_param("MaxItems") or 100, self._get_param("Marker"))
    return ActionResult({"Users": users, "IsTruncated": bool(marker), "Marker": marker})


@instead(IamResponse)
def get_account_authorization_details(self):
    details = self.backend.get_account_authorization_details(self._get_param("Filter", []))
    lists = {"UserDetailList": details["users"], "GroupDetailList": details["groups"],
             "RoleDetailList": details["roles"], "Policies": details["managed_policies"]}
    everything = [(name, item) for name, items in lists.items() for item in items]
    chosen, marker = page(everything, self._get_param("MaxItems") or 100, self._get_param("Marker"))
    result = {name: [item for of, item in chosen if of == name] for name in lists}
    return ActionResult(result | {"IsTruncated": bool(marker), "Marker": marker})


@instead(IamResponse)
def list_service_specific_credentials(self):
    user, service = self._get_param("UserName"), self._get_param("ServiceName")
    if self._get_bool_param("AllUsers"):
        # AWS documents the bulk form as "for the specified service": without one it is refused here, to be on the safe side.
        if user or not service:
            raise AwsError("ValidationError", "AllUsers needs a ServiceName and no UserName")
    elif user:
        self.backend.get_user(user)  # NoSuchEntity
    found = [c for c in world.service_credentials[self.current_account]
             if user in (None, c["UserName"]) and service in (None, c["ServiceName"])]
    found, marker = page(found, self._get_param("MaxItems") or 100, self._get_param("Marker"))
    return ActionResult({"ServiceSpecificCredentials": found, "IsTruncated": bool(marker), "Marker": marker})


@instead(IamResponse)
def generate_credential_report(self):
    world.report_calls[self.current_account] += 1
    if world.report_calls[self.current_account] > 1 or self.current_account in world.report_as_of:
        return ActionResult({"State": "COMPLETE"})
    return ActionResult({"State": "STARTED", "Description": "No report exists. Starting a new report generation task"})


@instead(IamResponse)
def get_credential_report(self):
    calls, as_of = world.report_calls[self.current_account], world.report_as_of.get(self.current_account)
    if not calls and not as_of:
        raise AwsError("ReportNotPresent", "No report exists")
    if calls == 1 and not as_of:
        raise AwsError("ReportInProgress", "The report is being generated")
    users = [user for user in self.backend.users.values() if not as_of or user.create_date <= as_of]
    rows = [REPORT_COLUMNS, root_row(self.current_account)] + [user_row(user, as_of) for user in users]
    return ActionResult({"Content": "\n".join(",".join(row) for row in rows), "ReportFormat": "text/csv",
                         "GeneratedTime": as_of or world.now or utcnow()})


REPORT_COLUMNS = ["user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed",
                  "password_next_rotation", "mfa_active"] + [
                  f"access_key_{n}_{what}" for n in (1, 2)
                  for what in ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")] + [
                  f"cert_{n}_{what}" for n in (1, 2) for what in ("active", "last_rotated")]


def report_date(value):
    return value.strftime("%Y-%m-%dT%H:%M:%S+00:00") if value else "N/A"


def key_columns(active, rotated, used):
    """`used`: an AccessKeyLastUsed or None."""
    return [str(active).lower(), report_date(rotated)] + (
        [report_date(used.timestamp), used.region, used.service] if used else ["N/A"] * 3)


def user_row(user, as_of):
    if user.password:
        changed = getattr(user, "password_last_changed", user.create_date)
        used = report_date(user.password_last_used) if user.password_last_used else "no_information"
        password = ["true", used, report_date(changed), "N/A"]
    else:
        password = ["false", "N/A", "N/A", "N/A"]
    keys = [key for key in user.access_keys if not as_of or key.create_date <= as_of]
    certificates = list(user.signing_certificates.values())
    row = [user.name, user.arn, report_date(user.create_date), *password, str(bool(user.mfa_devices)).lower()]
    for n in range(2):
        if n < len(keys):
            # "Rotated" is AWS's word for created or last changed: turning a key off moves it.
            rotated = getattr(keys[n], "rotated", keys[n].create_date)
            row += key_columns(keys[n].status == "Active", rotated, keys[n].last_used)
        else:
            row += key_columns(False, None, None)
    for n in range(2):
        certificate = certificates[n] if n < len(certificates) else None
        row += [str(certificate.status == "Active").lower(), report_date(certificate.upload_date)] if certificate else ["false", "N/A"]
    return row


def root_row(account):
    root = world.root.get(account, {})
    used = report_date(date(root.get("password_last_used"))) if root.get("password_last_used") else "no_information"
    row = ["<root_account>", f"arn:aws:iam::{account}:root", report_date(date(root.get("create_date", "2019-03-01T09:00:00Z"))),
           "not_supported", used, "not_supported", "not_supported", str(root.get("mfa", True)).lower()]
    keys = root.get("keys", [])
    for n in range(2):
        key = keys[n] if n < len(keys) else {}
        row += key_columns(key.get("active", False), date(key.get("create_date")), last_used_of(key.get("last_used")))
    return row + ["false", "N/A"] * 2


# ---- authorization: moto decides, the answer takes AWS's shape ----

# Calls whose permission has another name than the call.
PERMISSION_OF = {"lambda:GetLayerVersionByArn": "lambda:GetLayerVersion"}
moto_check_action_permitted = access_control.IAMRequestBase.check_action_permitted


@instead(access_control.IAMRequestBase)
def check_action_permitted(self, resource):
    self._action = PERMISSION_OF.get(self._action, self._action)
    moto_check_action_permitted(self, resource)


moto_authorize = ActionAuthenticatorMixin._authenticate_and_authorize_action


@instead(ActionAuthenticatorMixin)
def _authenticate_and_authorize_action(self, request_class, resource="*"):
    """moto parses a form and writes it anew to check the signature, which fits only who encodes as boto3 does."""
    self.raw_body = self.normalized_request.environ.get("overdue.body", self.raw_body)
    moto_authorize(self, request_class, resource)


moto_create_aws_request = access_control.IAMRequestBase._create_aws_request


@instead(access_control.IAMRequestBase)
def _create_aws_request(self):
    """For a GET without a query moto signs the headers as if they were the body, so no signature of Lambda's fits."""
    if self._method == "GET" and self._service != "s3":
        self._data = {}
    return moto_create_aws_request(self)


@instead(access_control.IAMRequest)
def _raise_access_denied(self):
    raise Refused("denied", self._service, self._action.partition(":")[2], self._access_key.arn)


@instead(access_control.IAMRequest)
def _raise_invalid_access_key(self, _):
    raise Refused("bad-key", self._service)


@instead(access_control.IAMRequest)
def _raise_signature_does_not_match(self):
    raise Refused("bad-signature", self._service)


@instead(access_control.IAMPolicyStatement)
def _check_principal(self, principal):
    """A trust policy that names an account's root admits everybody in that account; moto compares whole ARNs."""
    named = (self._statement.get("Principal") or {}).get("AWS", "*")
    named = [named] if isinstance(named, str) else named
    return any(n in ("*", principal) or n == f"arn:aws:iam::{principal.split(':')[4]}:root" for n in named)


def matches(pattern, text):
    """A policy's wildcards. moto's are a regular expression in which a dot is any character but a line break."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL)


access_control.IAMPolicyStatement._match = staticmethod(matches)
moto_assume_role = TokenResponse.assume_role


def strict_assume_role(self):
    """moto lets everybody assume any role, even one that does not exist."""
    arn, external_id = self._get_param("RoleArn"), self._get_param("ExternalId")
    roles = iam_backends[arn.split(":")[4]]["aws"].roles.values()
    role = next((role for role in roles if role.arn == arn), None)
    statements = json.loads(role.assume_role_policy_document)["Statement"] if role else []
    for statement in [statements] if isinstance(statements, dict) else statements:
        wanted = statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId")
        admitted = access_control.IAMPolicyStatement(statement)._check_principal(f"arn:aws:iam::{self.current_account}:caller")
        if statement["Effect"] == "Allow" and admitted and wanted in (None, external_id):
            return moto_assume_role(self)
    raise Refused("denied", "sts", "AssumeRole")


# ---- lambda ----

def code_url(path):
    return f"{world.base}/__test/code/{quote(path)}?X-Amz-Expires=600&X-Amz-Signature={signature(path)}"


def signature(path):
    return hashlib.sha256(f"{SIGNING_KEY} {path}".encode()).hexdigest()


def download(request):
    path = request.path.removeprefix("/__test/code/")
    if request.args.get("X-Amz-Signature") != signature(path):
        return Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403, mimetype="text/xml")
    account, region, kind, name, version = path.split("/")
    backend = lambda_backends[account][region]
    thing = backend.get_layer_version(name, version) if kind == "layer" else backend.get_function(name, version)
    return Response(thing.code_bytes, mimetype="application/zip").make_conditional(
        request.environ, accept_ranges=True, complete_length=len(thing.code_bytes))


moto_get_code, moto_get_layer_version = LambdaFunction.get_code, LayerVersion.get_layer_version


@instead(LambdaFunction)
def get_code(self):
    answer = moto_get_code(self)
    if answer.get("Code", {}).get("RepositoryType") == "S3":
        answer["Code"]["Location"] = code_url(f"{self.account_id}/{self.region}/function/{self.function_name}/{self.version}")
    return answer


@instead(LayerVersion)
def get_layer_version(self):
    answer = moto_get_layer_version(self)
    answer["Content"]["Location"] = code_url(f"{self.account_id}/{self.region}/layer/{self.name}/{self.version}")
    return answer


@instead(LambdaResponse)
def get_layer_version_by_arn(self):
    arn = self._get_param("Arn")
    layer = self.backend.layers_versions_by_arn(arn)
    if layer is None:
        raise AwsError("ResourceNotFoundException", f"Layer version {arn} does not exist.")
    return json.dumps(layer.get_layer_version())


def configurations(functions, of_all_versions):
    """As ListFunctions shows them. moto copies each function with all it holds for the sake of one ARN."""
    for versions in functions:
        latest = versions["latest"].get_configuration()
        if of_all_versions:
            latest["FunctionArn"] += ":$LATEST"
        yield latest
        if of_all_versions:
            yield from (version.get_configuration() for version in versions["versions"])


def page_of_configurations(self, key, found):
    # 50 is all that AWS gives, whatever MaxItems says.
    found, marker = page(list(found), min(int(self._get_param("MaxItems") or 50), 50), self._get_param("Marker"))
    return json.dumps({key: found} | ({"NextMarker": marker} if marker else {}))


@instead(LambdaResponse)
def list_functions(self):
    functions = list(self.backend._lambdas._functions.values())
    return page_of_configurations(self, "Functions", configurations(functions, self._get_param("FunctionVersion") == "ALL"))


@instead(LambdaResponse)
def list_versions_by_function(self):
    name = self.backend.get_function(self.path.split("/")[-2]).function_name
    return page_of_configurations(self, "Versions", configurations([self.backend._lambdas._functions[name]], True))


# ---- regions ----

@instead(AvailabilityZonesAndRegions)
def describe_regions(self):
    """moto gives every region there is, with China and the government's; AWS the enabled ones unless AllRegions is set."""
    regions = [Region(name, f"ec2.{name}.amazonaws.com", "opt-in-not-required") for name in world.regions]
    if self._get_bool_param("AllRegions"):
        regions += [Region(name, f"ec2.{name}.amazonaws.com", "not-opted-in") for name in NOT_OPTED_IN]
    names = self._get_param("RegionNames", [])
    return ActionResult({"Regions": [region for region in regions if not names or region.name in names]})


def list_regions(self):
    wanted = self._get_param("RegionOptStatusContains") or ["ENABLED_BY_DEFAULT", "DISABLED"]
    regions = [{"RegionName": name, "RegionOptStatus": status} for status, names in
               (("ENABLED_BY_DEFAULT", world.regions), ("DISABLED", NOT_OPTED_IN)) if status in wanted for name in names]
    regions, token = page(regions, self._get_param("MaxResults") or 50, self._get_param("NextToken"))
    return ActionResult({"Regions": regions, "NextToken": token})


AccountResponse.list_regions = list_regions
account_urls.url_paths["{0}/listRegions$"] = AccountResponse.dispatch


# ---- secrets ----

moto_secret_to_dict = FakeSecret.to_dict


@instead(FakeSecret)
def to_dict(self):
    """AWS keeps the day of the last read, and says nothing of a secret never read."""
    answer = moto_secret_to_dict(self)
    answer["LastAccessedDate"] = getattr(self, "last_accessed_date", None)
    return {name: value for name, value in answer.items() if value is not None}


# ---- hooks: each takes one JSON object ----

def iam(body):
    return iam_backends[body["account"]]["aws"]


def last_used_of(used):
    """{"at", "service", "region"} or None."""
    return AccessKeyLastUsed(timestamp=date(used["at"]), service=used["service"], region=used["region"]) if used else None


def set_access_key(body):
    """account, key_id; create_date?, rotated?, last_used? {"at", "service", "region"}"""
    key = iam(body).access_keys[body["key_id"]]
    key.create_date = date(body.get("create_date")) or key.create_date
    key.last_used = last_used_of(body.get("last_used"))
    if "rotated" in body:
        key.rotated = date(body["rotated"])


def set_user(body):
    """account, user; create_date?, password_last_changed?, password_last_used?"""
    user = iam(body).get_user(body["user"])
    for name in ("create_date", "password_last_changed", "password_last_used"):
        if name in body:
            setattr(user, name, date(body[name]))


def set_ssh_key(body):
    """account, user, id, upload_date"""
    iam(body).get_user(body["user"]).get_ssh_public_key(body["id"]).upload_date = date(body["upload_date"])


def set_signing_certificate(body):
    """account, user, id, upload_date"""
    iam(body).get_user(body["user"]).signing_certificates[body["id"]].upload_date = date(body["upload_date"])


def add_service_credential(body):
    """account, and the members of iam:ServiceSpecificCredentialMetadata"""
    fields = {name: value for name, value in body.items() if name != "account"}
    world.service_credentials[body["account"]].append(
        fields | {name: date(fields[name]) for name in ("CreateDate", "ExpirationDate") if name in fields})


def set_root(body):
    """account; create_date?, password_last_used?, mfa?, keys? [{"active", "create_date", "last_used"?}]"""
    world.root[body["account"]] = body


def set_credential_report(body):
    """account, as_of: a report of that moment exists, without what came after; null: none exists"""
    world.report_calls[body["account"]] = 0
    world.report_as_of.pop(body["account"], None)
    if body["as_of"]:
        world.report_as_of[body["account"]] = date(body["as_of"])


def set_secret(body):
    """account, region, name; created?, changed?, rotated?, accessed?, next_rotation?"""
    secret = secretsmanager_backends[body["account"]][body["region"]].secrets[body["name"]]
    at = {name: dt.datetime.fromisoformat(body[name]).timestamp()
          for name in ("created", "changed", "rotated", "accessed", "next_rotation") if body.get(name)}
    secret.created_date = at.get("created", secret.created_date)
    secret.last_changed_date = at.get("changed", secret.last_changed_date)
    secret.next_rotation_date = at.get("next_rotation")
    if "rotated" in at:
        secret.rotation_requested = secret.rotation_enabled = True
        secret.last_rotation_date, secret.auto_rotate_after_days = at["rotated"], 30
    if "accessed" in at:
        secret.last_accessed_date = at["accessed"] // 86400 * 86400


def set_parameter(body):
    """account, region, name; modified?, user?"""
    parameter = ssm_backends[body["account"]][body["region"]].get_parameter(body["name"])
    parameter.last_modified_date = date(body.get("modified")) or parameter.last_modified_date


def set_function(body):
    """account, region, name, version; modified"""
    function = lambda_backends[body["account"]][body["region"]].get_function(body["name"], body["version"])
    function.last_modified = date(body["modified"]).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def set_layer(body):
    """account, region, name, version; created"""
    layer = lambda_backends[body["account"]][body["region"]].get_layer_version(body["name"], body["version"])
    layer.created_date = date(body["created"]).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def set_organization_account(body):
    """management, id (as moto made it up); new_id?, name?, email?, joined?"""
    organization = organizations_backends[body["management"]]["aws"]
    account = organization.get_account_by_id(body["id"])
    account.id = body.get("new_id", account.id)
    account.name, account.email = body.get("name", account.name), body.get("email", account.email)
    account.create_time = date(body.get("joined")) or account.create_time
    organizations_backends.master_accounts[account.id] = (body["management"], "aws")


def set_role_policy(body):
    """account, role, document: replaces the role's inline policy "test", whatever authorization says"""
    iam(body).put_role_policy(body["role"], "test", json.dumps(body["document"]))


def set_authorization(body):
    """on: whether moto checks signatures and policies from here on (its own /moto-api/reset-auth still works)"""
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if body["on"] else float("inf")
    ActionAuthenticatorMixin.request_count = 0


def set_regions(body):
    """names: the regions enabled in every account"""
    world.regions = body["names"]


def set_clock(body):
    """now: what credential reports are dated, or null for the machine's clock"""
    world.now = date(body["now"])


HOOKS = {
    "access-key": set_access_key, "user": set_user, "ssh-key": set_ssh_key, "signing-certificate": set_signing_certificate,
    "service-credential": add_service_credential, "root": set_root, "credential-report": set_credential_report,
    "secret": set_secret, "parameter": set_parameter, "function": set_function, "layer": set_layer,
    "organization-account": set_organization_account, "role-policy": set_role_policy, "authorization": set_authorization,
    "regions": set_regions, "clock": set_clock, "fault": faults.add}


def answer_hook(request):
    hook = request.path.removeprefix("/__test/")
    if hook == "calls" and request.method == "GET":
        return Response(json.dumps(faults.report()), mimetype="application/json")
    if hook == "calls/reset":
        faults.reset()
    elif hook == "fault" and request.method == "DELETE":
        faults.clear()
    elif hook in HOOKS and request.method == "POST":
        body = request.get_json(force=True)
        try:
            for item in body if isinstance(body, list) else [body]:
                HOOKS[hook](item)
        except Exception as mistake:  # the test's mistake, told to the test
            return Response(json.dumps({"error": f"{hook}: {type(mistake).__name__}: {mistake}"}), 400, mimetype="application/json")
    else:
        return Response(json.dumps({"error": f"no such hook: {request.method} {hook}"}), 404, mimetype="application/json")
    return Response("{}", mimetype="application/json")


# ---- the server ----

moto_app = DomainDispatcherApplication(create_backend_app)


def app(environ, start):
    global world
    path = environ["PATH_INFO"]
    if path.startswith("/__test/code/"):
        account, region = path.split("/")[3:5]
        return faults.answer(lambda e, s: download(Request(e))(e, s), environ, start, "lambda", "Download", account, region)
    if path.startswith("/__test/"):
        return answer_hook(Request(environ))(environ, start)
    if path == "/moto-api/reset":
        base, world = world.base, World()
        world.base = base
    # A key may hold a line break, at which moto's routing stops; it reads the key itself from the raw address.
    environ["PATH_INFO"] = path.replace("\n", " ")
    if call := call_of(environ):
        return faults.answer(moto_app, environ, start, *call)
    return moto_app(environ, start)


class QuietHandler(MotoRequestHandler):
    def log_request(self, *_):
        pass


def main():
    arguments = argparse.ArgumentParser(description="moto_server with test hooks")
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--strict-assume", action="store_true")
    arguments = arguments.parse_args()
    if arguments.strict_assume:
        TokenResponse.assume_role = strict_assume_role
        strict_assume_role.__name__ = "assume_role"
    server = make_server("127.0.0.1", arguments.port, app, threaded=True, request_handler=QuietHandler)
    world.base = f"http://127.0.0.1:{server.server_port}"
    print(f"ready {world.base}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
