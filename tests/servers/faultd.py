"""A loopback proxy that spoils answers: the same seed spoils the same calls.

    faultd.py --upstream http://127.0.0.1:PORT        prints `ready http://127.0.0.1:PORT`

Until it is told a seed it passes everything on as it is. `PUT /__faultd {"seed": 7, "share": 0.2, "lasting": 0.05}` begins:
of all distinct calls (method, path and body) a share `lasting` fails each time, a share `share` fails once or twice and then
goes through. `GET /__faultd` tells what was spoiled, `DELETE /__faultd` ends it.

What a call suffers is drawn from the seed and the call itself, not from the order in which calls arrive, so that a run with
many requests in flight meets the same faults again. An answer is spoiled only behind the server, so what a test plants and
asks for is untouched. Kinds: KINDS below.
"""
import argparse
import asyncio
import hashlib
import json
import random
import re
from collections import Counter
from urllib.parse import urlsplit

# kind -> weight. What happens is in `spoil`.
KINDS = {
    "429": 3, "429-retry-after": 3, "500": 3, "503": 3, "403": 2, "reset": 3, "reset-in-body": 3, "cut-short": 3, "cut-chunked": 2,
    "broken-body": 3, "empty-body": 2, "error-in-200": 2, "same-token": 3, "token-without-items": 2, "401": 2, "drip": 1, "redirect": 1,
}
# Names that a page token has in answers, over all vendors. A proxy knows no service, so it goes by the name alone.
TOKENS = ("nextPageToken", "nextLink", "@odata.nextLink", "NextToken", "nextToken", "NextMarker", "Marker", "NextContinuationToken",
          "NextKeyMarker")
BODY_MAX = 64 << 20


def drawn(seed, call):
    """A generator of random numbers that belongs to this seed and this call."""
    return random.Random(hashlib.sha256(f"{seed}\n{call}".encode()).digest())


def http_answer(status, body=b"", headers=()):
    lines = [f"HTTP/1.1 {status} Spoiled", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def plain_call(target, body):
    """The call without what differs from run to run: signatures and dates in its address."""
    path, _, query = target.partition("?")
    signed = ("x-amz-", "awsaccesskeyid", "signature", "expires")
    query = "&".join(sorted(part for part in query.split("&") if not part.lower().startswith(signed)))
    return f"{path}?{query}\n{body.decode('utf-8', 'replace')}"


class Faults:
    def __init__(self):
        self.clear()

    def clear(self):
        self.plan, self.seen, self.done = None, Counter(), Counter()

    def due(self, method, target, body):
        """The kind of fault that this call suffers now, and the numbers drawn for it; or None."""
        if not self.plan:
            return None
        call = f"{method} {plain_call(target, body)}"
        numbers = drawn(self.plan["seed"], call)
        self.seen[call] += 1
        lot = numbers.random()
        kinds = self.plan.get("kinds") or list(KINDS)
        kind = numbers.choices(kinds, [KINDS[kind] for kind in kinds])[0]
        times = numbers.choice((1, 1, 2))
        lasting, share = self.plan.get("lasting", 0), self.plan.get("share", 0)
        if lot < lasting or (lot < lasting + share and self.seen[call] <= times):
            self.done[kind] += 1
            return kind, numbers
        return None


async def read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [line.split(":", 1) for line in lines if ":" in line]
    return first, [(name.strip(), value.strip()) for name, value in headers]


def header(headers, wanted):
    return next((value for name, value in headers if name.lower() == wanted), "")


async def read_body(reader, headers, to_end=False):
    if header(headers, "transfer-encoding").lower() == "chunked":
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        while (await reader.readline()).strip():
            pass
        return body
    if length := header(headers, "content-length"):
        return await reader.readexactly(int(length))
    return await reader.read(BODY_MAX) if to_end else b""


async def ask(upstream, first, headers, body):
    """The server's own answer: (status line, headers, body)."""
    reader, writer = await asyncio.open_connection(upstream.hostname, upstream.port)
    try:
        keep = [(name, value) for name, value in headers if name.lower() not in ("connection", "transfer-encoding", "content-length", "expect")]
        lines = [first, *(f"{name}: {value}" for name, value in keep), f"Content-Length: {len(body)}", "Connection: close"]
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        await writer.drain()
        status, answered = await read_head(reader)
        if first.startswith("HEAD ") or " 304 " in status or " 204 " in status:
            return status, answered, b""
        return status, answered, await read_body(reader, answered, to_end=True)
    finally:
        writer.close()


def whole(status, headers, body, head_only=False):
    keep = [(name, value) for name, value in headers if name.lower() not in ("connection", "transfer-encoding", "content-length")]
    length = header(headers, "content-length") if head_only else str(len(body))
    lines = [status.replace("HTTP/1.0", "HTTP/1.1"), *(f"{name}: {value}" for name, value in keep)]
    if length:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def with_token(body, drop_items):
    """The page, saying that there is more and that its token is one that came before; a JSON page may lose its items too. None:
    it is no page."""
    stuck = "spoiled-token-again"
    try:
        page = json.loads(body)
    except ValueError:
        text = body.decode("utf-8", "replace")
        if not re.search(r"<IsTruncated>", text):
            return None
        text = re.sub(r"<IsTruncated>\w+</IsTruncated>", "<IsTruncated>true</IsTruncated>", text)
        for name in ("NextContinuationToken", "Marker", "NextMarker"):
            text = re.sub(rf"<{name}>[^<]*</{name}>", "", text)
            text = text.replace("<IsTruncated>true", f"<{name}>{stuck}</{name}><IsTruncated>true", 1)
        return text.encode()
    if not isinstance(page, dict) or not any(isinstance(value, list) for value in page.values()):
        return None
    if drop_items:
        page = {name: [] if isinstance(value, list) else value for name, value in page.items()}
    # Under every name a service may have for it: a client reads its own and ignores the others.
    return json.dumps(page | {name: page.get(name) or stuck for name in TOKENS}).encode()


async def spoil(kind, numbers, answer, head_only, writer):
    """Writes the spoiled answer. Returns whether the connection may live on."""
    status, headers, body = answer
    error = lambda code: json.dumps({"error": {"code": code, "message": "spoiled", "status": "SPOILED"}, "message": "spoiled"}).encode()
    if kind in ("429", "500", "503", "403", "401"):
        writer.write(http_answer(int(kind), b"" if head_only else error(int(kind))))
        return True
    if kind == "429-retry-after":
        writer.write(http_answer(429, b"" if head_only else error(429), [f"Retry-After: {numbers.choice((0, 0, 1))}"]))
        return True
    if kind == "redirect":
        writer.write(http_answer(302, b"", ["Location: http://127.0.0.1:9/elsewhere"]))
        return True
    if kind == "reset":
        return False
    if kind == "error-in-200" and not head_only:
        writer.write(http_answer(200, error(500)))
        return True
    if kind == "empty-body" and not head_only:
        writer.write(http_answer(200, b""))
        return True
    if kind == "broken-body" and body and not head_only:
        at = numbers.randrange(len(body))
        # Its length is right, and what it says is not. No client can see that in plain bytes, so those are cut short instead.
        if body[:1] not in (b"{", b"[", b"<"):
            return await spoil("cut-short", numbers, answer, head_only, writer)
        writer.write(whole(status, headers, body[:at] + b"\x00" + body[at + 1:at + 1 + len(body) // 2]))
        return True
    if kind in ("same-token", "token-without-items") and not head_only:
        page = with_token(body, kind == "token-without-items")
        if page is None:
            return await spoil("500", numbers, answer, head_only, writer)
        writer.write(whole(status, headers, page))
        return True
    sent = whole(status, headers, body, head_only)
    head = sent.index(b"\r\n\r\n") + 4
    if kind == "cut-chunked" and not head_only:
        lines = [line for line in sent[:head - 4].split(b"\r\n") if not line.lower().startswith(b"content-length")]
        part = body[:numbers.randrange(len(body) + 1)]
        writer.write(b"\r\n".join([*lines, b"Transfer-Encoding: chunked"]) + b"\r\n\r\n")
        if part:
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        return False
    if kind == "drip":
        for at in range(0, min(len(sent), 64), 8):
            writer.write(sent[at:at + 8])
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(sent[64:])
        return True
    # reset-in-body, cut-short: the promised length, fewer bytes
    writer.write(sent[:head + numbers.randrange(max(1, len(body)))])
    return False


async def serve(upstream, faults, reader, writer):
    try:
        while True:
            try:
                first, headers = await read_head(reader)
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                return
            if header(headers, "expect").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await read_body(reader, headers)
            method, target, _ = first.split(" ", 2)
            if target == "/__faultd":
                if method == "PUT":
                    faults.clear()
                    faults.plan = json.loads(body)
                elif method == "DELETE":
                    faults.clear()
                writer.write(http_answer(200, json.dumps({"spoiled": dict(faults.done)}).encode(), ["Connection: close"]))
                await writer.drain()
                return
            answer = await ask(upstream, first.replace("HTTP/1.0", "HTTP/1.1"), headers, body)
            due = None if target.startswith("/__") else faults.due(method, target, body)
            if due:
                alive = await spoil(*due, answer, method == "HEAD", writer)
            else:
                writer.write(whole(*answer, head_only=method == "HEAD"))
                alive = True
            await writer.drain()
            if not alive or header(headers, "connection").lower() == "close" or first.endswith("HTTP/1.0"):
                return
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.TimeoutError):
        pass
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upstream", required=True)
    upstream = urlsplit(parser.parse_args().upstream)
    faults = Faults()
    server = await asyncio.start_server(lambda r, w: serve(upstream, faults, r, w), "127.0.0.1", 0, limit=BODY_MAX)
    print(f"ready http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
