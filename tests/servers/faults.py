"""What stands between a client and moto: it names each call, counts it, and answers wrongly when a test asks for that.

Errors are shaped as AWS shapes them for each protocol, because an SDK decides by shape, code and status whether to
retry, to give up, or to call it a denial.
"""
import io
import json
import re
import threading
import time
from collections import Counter
from urllib.parse import parse_qsl, urlencode

from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.utils import get_pagination_model
from moto.iam.models import get_account_id_from
from werkzeug.exceptions import HTTPException
from werkzeug.test import run_wsgi_app

REQUEST_ID = "00000000-0000-4000-8000-000000000000"
XML, JSON = "text/xml", "application/json"
PROTOCOL = {"iam": "query", "sts": "query", "ec2": "ec2", "s3": "rest-xml", "lambda": "rest-json", "account": "rest-json"}  # else json-1.1

# kind -> protocol or service -> (code, status). A service's own entry wins over its protocol's.
ERRORS = {
    "denied": {"query": ("AccessDenied", 403), "ec2": ("UnauthorizedOperation", 403), "rest-xml": ("AccessDenied", 403),
               "rest-json": ("AccessDeniedException", 403), "json": ("AccessDeniedException", 400)},
    "throttle": {"query": ("Throttling", 400), "ec2": ("RequestLimitExceeded", 503), "rest-xml": ("SlowDown", 503),
                 "rest-json": ("TooManyRequestsException", 429), "json": ("ThrottlingException", 400),
                 "organizations": ("TooManyRequestsException", 400)},
    "error500": {"query": ("ServiceFailure", 500), "sts": ("InternalFailure", 500), "ec2": ("InternalError", 500),
                 "rest-xml": ("InternalError", 500), "rest-json": ("ServiceException", 500),
                 "json": ("InternalServiceError", 500)},
    "vanish": {"query": ("NoSuchEntity", 404), "sts": ("AccessDenied", 403), "ec2": ("AuthFailure", 401),
               "rest-xml": ("NoSuchKey", 404), "rest-json": ("ResourceNotFoundException", 404),
               "json": ("ResourceNotFoundException", 400), "organizations": ("AWSOrganizationsNotInUseException", 400)},
    "expired": {"query": ("ExpiredToken", 403), "ec2": ("RequestExpired", 400), "rest-xml": ("ExpiredToken", 400),
                "rest-json": ("ExpiredTokenException", 403), "json": ("ExpiredTokenException", 400)},
    "bad-key": {"query": ("InvalidClientTokenId", 403), "ec2": ("AuthFailure", 401), "rest-xml": ("InvalidAccessKeyId", 403),
                "rest-json": ("UnrecognizedClientException", 403), "json": ("UnrecognizedClientException", 400)},
    "bad-signature": {"query": ("SignatureDoesNotMatch", 403), "ec2": ("AuthFailure", 401),
                      "rest-xml": ("SignatureDoesNotMatch", 403), "rest-json": ("InvalidSignatureException", 403),
                      "json": ("InvalidSignatureException", 400)},
}
MESSAGES = {
    "throttle": "Rate exceeded", "error500": "We encountered an internal error. Please try again.",
    "vanish": "The requested resource does not exist.", "expired": "The security token included in the request is expired",
    "bad-key": "The security token included in the request is invalid.",
    "bad-signature": "The request signature we calculated does not match the signature you provided.",
}


def error(kind, service, operation="", who="arn:aws:sts::000000000000:assumed-role/tested/by", code=None):
    """(status, content type, code, body) of an AWS error in the protocol of `service`; `code` in place of the kind's own."""
    protocol = PROTOCOL.get(service, "json")
    table = ERRORS[kind]
    usual, status = table.get(service) or table[protocol]
    code = code or usual
    if code == "NoSuchKey" and not operation.startswith(("GetObject", "HeadObject")):
        code = "NoSuchBucket"
    action = f"{service}:{operation}"
    message = MESSAGES.get(kind) or (f"User: {who} is not authorized to perform: {action} "
                                     f"because no identity-based policy allows the {action} action")
    if protocol == "query":
        body = (f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                f"<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>")
    elif protocol == "ec2":
        body = (f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
                f"<RequestID>{REQUEST_ID}</RequestID></Response>")
    elif protocol == "rest-xml":
        body = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{REQUEST_ID}</RequestId></Error>"
    else:
        body = json.dumps({"__type": code, "message": message})
    return status, (XML if body[0] == "<" else JSON), code, body


class Refused(HTTPException):
    """An AWS error raised inside moto; moto keeps only the description and the status, so the body says it all."""

    def __init__(self, kind, service, operation="", who=None):
        super().__init__()
        self.code, self.content_type, self.error_type, self.description = error(
            kind, service, operation, *([who] if who else []))

    def get_headers(self, *_):
        return [("Content-Type", self.content_type), ("x-amzn-ErrorType", self.error_type)]


class AwsError(ServiceException):
    """(code, message) of an error that the service's own model knows. moto wants such a class outside its own modules."""


# ---- naming a call ----

def body_of(environ):
    """The request's body, put back so that moto can read it again. Only for bodies with a known, small length."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def call_of(environ):
    """(service, operation, account, region) of a signed AWS request, or None for anything else."""
    found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    if not found:
        return None
    key, region, service = found.groups()
    account = environ.get("HTTP_X_MOTO_ACCOUNT_ID") or get_account_id_from(key)
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return service, target.split(".")[-1], account, region
    if PROTOCOL.get(service) in ("query", "ec2"):
        environ["overdue.body"] = body_of(environ)  # see moto_plus: a signature is over the body as it was sent
        return service, dict(parse_qsl(environ["overdue.body"].decode())).get("Action", ""), account, region
    try:
        operation, _ = get_service_router(service).match(Request(environ))
        return service, operation.name, account, region
    except Exception:  # a service or path moto does not know: let moto itself say so
        return service, "", account, region


# ---- faults ----

PAGE_TOKENS = {"Marker", "NextToken", "nextToken", "continuation-token", "key-marker", "version-id-marker"}
STUCK = "the-same-token-again"


def first_page_always(environ):
    """Drop the page token from a request, so that moto answers with its first page whatever was asked."""
    keep = lambda text: urlencode([(k, v) for k, v in parse_qsl(text, keep_blank_values=True) if k not in PAGE_TOKENS])
    environ["QUERY_STRING"] = keep(environ.get("QUERY_STRING", ""))
    kind = environ.get("CONTENT_TYPE", "")
    if "json" in kind or "urlencoded" in kind:
        body = body_of(environ)
        if "json" in kind:
            body = json.dumps({k: v for k, v in json.loads(body or b"{}").items() if k not in PAGE_TOKENS}).encode()
        else:
            body = keep(body.decode()).encode()
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))


def with_stuck_token(service, operation, body):
    """The answer, saying that there is a next page and that its token is the one used before."""
    paging = get_pagination_model(service).get(operation, {})
    as_list = lambda value: value if isinstance(value, list) else [value]
    fields = {name: STUCK for name in as_list(paging.get("output_token", [])) if re.fullmatch(r"\w+", name)}
    if body.lstrip()[:1] == b"{":
        return json.dumps(json.loads(body) | fields).encode()
    if more := paging.get("more_results"):
        fields[more] = "true"
    text = body.decode()
    for name, value in fields.items():
        element = f"<{name}>{value}</{name}>"
        text, replaced = re.subn(rf"<{name}>[^<]*</{name}>|<{name}\s*/>", element, text, count=1)
        if not replaced:  # into the result element, which is the last thing to close except in the query protocol
            end = re.search(r"</\w+Result>\s*<ResponseMetadata", text) or re.search(r"</\w+>\s*$", text)
            text = text[:end.start()] + element + text[end.start():]
    return text.encode()


class Faults:
    """The faults a test asked for, and what was called since the last reset."""

    def __init__(self):
        self.lock = threading.Lock()
        self.rules = []
        self.reset()

    def reset(self):
        self.calls, self.downloads, self.download_bytes, self.object_bytes = Counter(), 0, 0, 0

    def report(self):
        with self.lock:
            return {"calls": dict(sorted(self.calls.items())), "total": sum(self.calls.values()), "downloads": self.downloads,
                    "download_bytes": self.download_bytes, "object_bytes": self.object_bytes}

    def add(self, rule):
        """operation, kind; optional: account, region, contains (in the path), after (calls let through), times, seconds, code."""
        rule = {"after": 0, "times": 3 if rule["kind"] == "throttle-n" else None} | rule
        rule["kind"] = rule["kind"].removesuffix("-n")
        if rule["kind"] not in ERRORS and rule["kind"] not in ("truncated-body", "same-token", "slow"):
            raise ValueError(f"unknown kind of fault: {rule['kind']}")
        with self.lock:
            self.rules.append(rule)

    def clear(self):
        with self.lock:
            self.rules.clear()

    def due(self, operation, account, region, path):
        with self.lock:
            for rule in self.rules:
                if (rule["operation"] != operation or rule.get("account") not in (None, account)
                        or rule.get("region") not in (None, region) or rule.get("contains", "") not in path):
                    continue
                if rule["after"] > 0:
                    rule["after"] -= 1
                elif rule["times"] is None or rule["times"] > 0:
                    if rule["times"] is not None:
                        rule["times"] -= 1
                    return rule
        return None

    def answer(self, app, environ, start, service, operation, account, region):
        """Count the call, then let `app` answer it, or not."""
        name = f"{service}:{operation}"
        download = name == "lambda:Download"
        if not download:
            with self.lock:
                self.calls[name] += 1
        rule = self.due(name, account, region, environ["PATH_INFO"])
        kind = rule["kind"] if rule else None
        if kind in ERRORS:
            # A code package is served by S3 behind a signed URL, so it fails the way S3 does.
            service, operation = ("s3", "GetObject") if download else (service, operation)
            status, content_type, code, body = error(kind, service, operation, code=rule.get("code"))
            start(f"{status} {code}", [("Content-Type", content_type), ("x-amzn-ErrorType", code),
                                       ("x-amzn-RequestId", REQUEST_ID), ("Content-Length", str(len(body)))])
            return [body.encode() if environ["REQUEST_METHOD"] != "HEAD" else b""]
        if kind == "slow":
            time.sleep(rule.get("seconds", 5))
        if kind == "same-token":
            first_page_always(environ)
        if not (download or name == "s3:GetObject" or kind in ("truncated-body", "same-token")):
            return app(environ, start)
        chunks, status, headers = run_wsgi_app(app, environ)
        body = b"".join(chunks)
        if kind == "same-token":
            body = with_stuck_token(service, operation, body)
        if not status.startswith("304"):
            headers = [(k, v) for k, v in headers if k.lower() != "content-length"] + [("Content-Length", str(len(body)))]
        if kind == "truncated-body":  # the promised length, half the bytes, and then the connection closes
            body = body[:len(body) // 2]
        with self.lock:
            if download:
                self.downloads += 1
                self.download_bytes += len(body)
            elif name == "s3:GetObject":
                self.object_bytes += len(body)
        start(status, headers)
        return [body]
