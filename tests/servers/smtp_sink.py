"""A mail server that keeps what it gets and fails as told.

usage: smtp_sink.py --certs DIR --out FILE [--port P] [--mode MODE]
       (DIR from make_cert.py; P = 0: any free port; prints "ready 127.0.0.1:P")

It wants STARTTLS, then AUTH as overdue / test (535 for another password, 530 without), and appends one JSON line a message
to FILE: from, to, tls, user, raw. What a recipient's address holds decides over the letter to him:
  defer  451 to RCPT        slow  5 s before the answer to DATA        hang  no answer to DATA, ever
  reject 550 to RCPT        drop  the letter is kept, but the connection closes before the answer: was it delivered?

MODE  normal · tls (TLS from the first byte) · no-auth (neither TLS nor AUTH wanted) · reject-all · defer-all (every recipient)
      mute (accepts the connection and never says a word)
"""
import argparse
import asyncio
import json
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"overdue", b"test"


class Sink:
    def __init__(self, mode, out):
        self.mode, self.out = mode, out

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.mode == "defer-all" or "defer" in address:
            return "451 4.7.1 try again later"
        if self.mode == "reject-all" or "reject" in address:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        to = " ".join(envelope.rcpt_tos)
        if "hang" in to:
            await asyncio.Event().wait()
        if "slow" in to:
            await asyncio.sleep(5)
        user = session.auth_data.login.decode() if session.auth_data else None
        with self.out.open("a") as file:
            file.write(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "user": user,
                                   "tls": self.mode == "tls" or session.ssl is not None, "raw": envelope.content.decode("latin-1")}) + "\n")
        if "drop" in to:
            server.transport.abort()
        return "250 2.0.0 queued"


def authenticate(server, session, envelope, mechanism, data):
    # Not "handled": aiosmtpd then answers 535 itself. Otherwise a wrong password is met with silence.
    return AuthResult(success=(data.login, data.password) == (USER, PASSWORD), handled=False, auth_data=data)


async def serve(arguments):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(arguments.certs / "cert.pem", arguments.certs / "key.pem")
    mode = arguments.mode
    guarded = mode not in ("tls", "no-auth")
    loop = asyncio.get_running_loop()
    make = asyncio.Protocol if mode == "mute" else lambda: SMTP(
        Sink(mode, arguments.out), loop=loop, hostname="localhost", tls_context=context if guarded else None, require_starttls=guarded,
        auth_required=mode != "no-auth", auth_require_tls=guarded, authenticator=authenticate, enable_SMTPUTF8=True)
    server = await loop.create_server(make, "127.0.0.1", arguments.port, ssl=context if mode == "tls" else None)
    print(f"ready 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main():
    arguments = argparse.ArgumentParser(description="a mail server for tests")
    arguments.add_argument("--certs", required=True, type=pathlib.Path)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--mode", default="normal", choices=["normal", "tls", "no-auth", "reject-all", "defer-all", "mute"])
    asyncio.run(serve(arguments.parse_args()))


if __name__ == "__main__":
    main()
