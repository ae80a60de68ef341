"""An issuer on a real socket, honest until a test turns one of its knobs."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import msgspec

from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey
from watchword.jose.jws import signer
from watchword.log import LINES, Delta, Entry, Heartbeat, Kind, Message, Snapshot, chain, genesis, seal, type_of

AUDIENCE = "https://orders.example"
CREDENTIALS = ("api-1", "a secret: with/signs")


class Server(ThreadingHTTPServer):
    """A thread a connection; many may come at once."""

    daemon_threads = True
    request_queue_size = 256

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:
        """Over TLS hands are shaken here: who leaves in the middle of it must not keep all others waiting."""
        if isinstance(request, ssl.SSLSocket):
            try:
                request.do_handshake()
            except OSError:
                return
        super().finish_request(request, client_address)


class Issuer:
    """Publishes metadata, keys and a revocation log; introspects; gives tokens to clients."""

    def __init__(self, path: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.key = SigningKey.generate("ES256")
        self.feed_key = SigningKey.generate("ES256")
        self.published = [self.key.public_jwk()]
        self.log = secrets.token_urlsafe(12)
        self.entries: list[Entry] = []
        self.counts: Counter[str] = Counter()
        self.last_question: dict[str, str] = {}
        self.last_request: dict[str, str] = {}
        self.last_form: dict[str, str] = {}
        self.acknowledged: list[dict[str, object]] = []
        self.verifiers: dict[str, str] = {}
        """What each path was told of who asks."""
        self.opened: list[float] = []
        """When each stream was opened, on the monotonic clock."""
        # Knobs.
        self.beat = 0.1
        self.private = True
        self.status: dict[str, int] = {}
        """Paths that answer with a status and nothing else."""
        self.padding = ""
        """Makes the metadata longer."""
        self.hanging: set[str] = set()
        """Paths that never answer."""
        self.behind = 0.0
        """Seconds by which what the stream brings is old, as if something held it back."""
        self.step = 0.0
        """Seconds by which the issuer's clock is wrong."""
        self.silent = False
        """The stream is open and brings nothing."""
        self.replay = ""
        """A message that the stream brings again and again instead of heartbeats."""
        self.once: list[str] = []
        """Messages that the stream brings next, whatever they are."""
        self.page = 0
        """Entries in a page, for who accepts pages."""
        self.page_key: SigningKey | None = None
        """Signs pages in place of the feed's key."""
        self.repage: Callable[[list[Message]], list[Message]] = lambda messages: messages
        """Changes an answer in pages before it is signed."""
        self.farewell = False
        """Streams that are cut end with a goodbye."""
        self.rewrite: Callable[[Message], Message] = lambda message: message
        """Changes what `/revocations` answers before it is signed."""
        self.inactive: set[str] = set()
        self.metadata_changes: dict[str, object] = {}
        self.headers: dict[str, str] = {}
        """More headers of every answer."""
        self.token_answer: tuple[int, dict[str, object]] | None = None
        self.token_delay = 0.0
        self.lifetime = 900
        self.customers: dict[str, dict[str, object]] = {}
        """API keys, and the claims of the tokens that they are traded for."""
        self.documents: dict[str, dict[str, object]] = {}
        """Clients that sign their own tokens, and what their documents say beside the usual."""
        self._changed = threading.Condition()
        self._cuts = 0
        self._stopped = threading.Event()
        self._server = Server(("127.0.0.1", 0), _handler(self))
        self.path = path
        if tls is not None:
            waiting = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
            self._server.socket = waiting
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}{path}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """End at once; nobody is listening afterwards."""
        self._stopped.set()
        self.cut()
        self._server.shutdown()
        self._server.server_close()

    @property
    def streams(self) -> int:
        return self.counts["stream open"] - self.counts["stream closed"]

    @property
    def head(self) -> str:
        return b64url(chain(genesis(self.log), self.entries))

    def token(self, key: SigningKey | None = None, **changes: object) -> str:
        """An access token, good but for `changes`; a change to None leaves the claim out."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "user-1",
            "client_id": "web",
            "iat": now,
            "exp": now + 900,
            "jti": secrets.token_urlsafe(16),
            "rev": len(self.entries),
            "scope": "orders:read",
        }
        claims.update(changes)
        kept = {name: value for name, value in claims.items() if value is not None}
        return signer(key or self.key, "at+jwt")(msgspec.json.encode(kept))

    def revoke(self, kind: Kind, name: str) -> Entry:
        with self._changed:
            entry = Entry(len(self.entries) + 1, kind, name, int(time.time()) + 1000)
            self.entries.append(entry)
            self._changed.notify_all()
        return entry

    def cut(self) -> None:
        """End every open stream."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def sign(self, message: Message, key: SigningKey | None = None) -> str:
        return seal(message, signer(key or self.feed_key, type_of(type(message))))

    def now(self) -> int:
        return int((time.time() + self.step) * 1000)

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(self.url, self.log, len(self.entries), self.head, self.now() - int(self.behind * 1000))

    def snapshot(self, nonce: str = "") -> Snapshot:
        return Snapshot(self.url, self.log, len(self.entries), self.head, self.now(), tuple(self.entries), nonce)

    def delta(self, after: int, nonce: str = "") -> Delta:
        prev = b64url(chain(genesis(self.log), self.entries[:after]))
        entries = tuple(self.entries[after:])
        return Delta(self.url, self.log, after, prev, len(self.entries), self.head, self.now(), entries, nonce)

    def pages(self, nonce: str) -> list[Message]:
        """All of the log in pages, and the delta that closes them."""
        found: list[Message] = []
        for after in range(0, len(self.entries), self.page):
            entries = self.entries[after : after + self.page]
            head, prev = (b64url(chain(genesis(self.log), self.entries[:seq])) for seq in (entries[-1].seq, after))
            page = Snapshot(self.url, self.log, entries[-1].seq, head, self.now(), tuple(entries), "", after, prev)
            found.append(page)
        return [*found, self.delta(len(self.entries), nonce)]

    def in_lines(self, messages: list[Message]) -> str:
        keys = [self.page_key if isinstance(message, Snapshot) else None for message in messages]
        return "".join(self.sign(message, key) + "\n" for message, key in zip(messages, keys, strict=True))

    def since(self, log: str, after: int, nonce: str = "") -> Message:
        return self.delta(after, nonce) if log == self.log and after <= len(self.entries) else self.snapshot(nonce)

    def metadata(self) -> dict[str, object]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks.json",
            "token_endpoint": f"{self.url}/token",
            "introspection_endpoint": f"{self.url}/introspect",
            "watchword_revocations_endpoint": f"{self.url}/revocations",
            "watchword_revocations_stream_endpoint": f"{self.url}/revocations/stream",
            "watchword_revocations_jwks_uri": f"{self.url}/revocations/jwks.json",
            "watchword_client_documents": f"{self.url}/clients",
            "watchword_access_token_max_lifetime": 3600,
            "watchword_heartbeat_interval": self.beat,
            "padding": self.padding,
            **self.metadata_changes,
        }

    def stream(self, write: Callable[[str], None], log: str, after: int) -> None:
        """Write events until cut."""
        cuts = self._cuts
        sent = self.since(log, after)
        write(self.sign(sent))
        position = sent.seq
        while cuts == self._cuts and not self._stopped.is_set():
            with self._changed:
                if cuts == self._cuts and len(self.entries) == position:
                    self._changed.wait(self.beat)
            if self.silent or cuts != self._cuts:
                continue
            if self.once:
                write(self.once.pop(0))
            elif self.replay:
                write(self.replay)
            elif len(self.entries) > position:
                delta = self.delta(position)
                write(self.sign(msgspec.structs.replace(delta, time=delta.time - int(self.behind * 1000))))
                position = delta.seq
            else:
                write(self.sign(self.heartbeat()))
        if self.farewell:
            write("")

    def hang(self) -> None:
        self._stopped.wait(30)


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            issuer.counts["connection"] += 1
            super().setup()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if self.refused(parts.path):
                return
            path = parts.path.removeprefix(issuer.path)
            if parts.path == "/.well-known/oauth-authorization-server" + issuer.path:
                self.json(200, issuer.metadata())
            elif path == "/jwks.json":
                self.json(200, {"keys": issuer.published})
                issuer.counts["key set answered"] += 1
            elif path == "/revocations/jwks.json":
                self.json(200, {"keys": [issuer.feed_key.public_jwk()]})
            elif path == "/revocations" and issuer.page and "after" not in query and LINES in self.headers["Accept"]:
                messages = issuer.repage(issuer.pages(query["nonce"]))
                self.answer(200, issuer.in_lines(messages).encode(), LINES)
            elif path == "/revocations" and self.known():
                issuer.last_question = query
                message = issuer.since(query.get("log", ""), int(query.get("after", -1)), query.get("nonce", ""))
                self.answer(200, issuer.sign(issuer.rewrite(message)).encode(), "application/jwt")
            elif path == "/revocations/stream" and self.known():
                self.stream(query)
            elif path == "/echo":
                self.echo()
            elif path.startswith("/clients/") and self.known():
                self.describe(path.split("/")[2])
            else:
                self.json(404, {"error": "not_found"})

        def describe(self, client_id: str) -> None:
            issuer.counts["documents"] += 1
            if client_id not in issuer.documents:
                self.json(404, {"error": "not_found"})
                return
            usual = {"client_id": client_id, "scope": "orders:read", "rev": len(issuer.entries), "fresh_for": 300}
            self.json(200, {**usual, **issuer.documents[client_id]})

        def trade(self, key: str) -> None:
            issuer.counts["traded"] += 1
            claims = issuer.customers.get(key)
            if claims is None:
                self.json(400, {"error": "invalid_grant"})
                return
            text, lifetime = issuer.token(**claims), issuer.lifetime
            self.json(200, {"access_token": text, "token_type": "Bearer", "expires_in": lifetime})

        def do_POST(self) -> None:
            path = urlsplit(self.path).path.removeprefix(issuer.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if path == "/revocations/ack":
                self.take_acknowledgement(body)
                return
            form = issuer.last_form = {name: values[0] for name, values in parse_qs(body).items()}
            if self.refused(self.path):
                return
            if path == "/introspect" and self.known():
                self.json(200, {"active": issuer.last_form["token"] not in issuer.inactive})
            elif path == "/token":
                self.give_token(form)
            elif path == "/echo":
                self.echo()
            else:
                self.json(404, {"error": "not_found"})

        def give_token(self, form: dict[str, str]) -> None:
            time.sleep(issuer.token_delay)  # a slow issuer, so that many callers meet
            if issuer.token_answer is not None:
                self.json(*issuer.token_answer)
                return
            if form.get("grant_type") == "urn:watchword:api-key":
                if self.known():
                    self.trade(form["api_key"])
                return
            text = f"token-{issuer.counts['/token']}"
            self.json(200, {"access_token": text, "token_type": "Bearer", "expires_in": issuer.lifetime})

        def take_acknowledgement(self, body: str) -> None:
            if not self.refused("/revocations/ack") and self.known():
                issuer.acknowledged.append({**json.loads(body), "at": time.monotonic()})
                self.send_response(204)
                self.end_headers()

        def echo(self) -> None:
            """An API that says which token it saw, and refuses those that are inactive."""
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if token in issuer.inactive:
                self.answer(401, b"", challenge='Bearer error="invalid_token"')
            else:
                self.json(200, {"token": token})

        def refused(self, path: str) -> bool:
            issuer.counts[path.removeprefix(issuer.path)] += 1
            issuer.last_request = dict(self.headers.items())
            issuer.verifiers[path.removeprefix(issuer.path)] = self.headers.get("Watchword-Verifier", "")
            if path in issuer.hanging:
                issuer.hang()
                return True
            if path in issuer.status:
                self.answer(issuer.status[path], b"")
                return True
            return False

        def known(self) -> bool:
            pair = "api-1:a+secret%3A+with%2Fsigns"
            expected = "Basic " + base64.b64encode(pair.encode()).decode()
            if issuer.private and self.headers.get("Authorization") != expected:
                self.json(401, {"error": "invalid_client"})
                return False
            return True

        def stream(self, query: dict[str, str]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            issuer.counts["stream open"] += 1
            issuer.opened.append(time.monotonic())
            try:
                after = int(self.headers.get("Last-Event-ID", query.get("after", "-1")))
                issuer.stream(self.event, query.get("log", ""), after)
            except OSError:
                pass  # the follower has gone
            finally:
                issuer.counts["stream closed"] += 1
            self.close_connection = True

        def event(self, text: str) -> None:
            event = f"event: message\ndata: {text}\n\n" if text else "event: goodbye\nretry: 0\ndata:\n\n"
            self.wfile.write(event.encode())
            self.wfile.flush()

        def json(self, status: int, document: dict[str, object]) -> None:
            self.answer(status, json.dumps(document).encode(), "application/json")

        def answer(self, status: int, body: bytes, kind: str = "text/plain", challenge: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status in (301, 302, 307):
                self.send_header("Location", issuer.url + "/elsewhere")
            if challenge:
                self.send_header("WWW-Authenticate", challenge)
            for name, value in issuer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Handler


class Clock:
    """The machine's clocks, and how far a test has moved them, in seconds."""

    def __init__(self) -> None:
        self.monotonic_ahead = 0.0
        self.wall_ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.monotonic_ahead

    def wall(self) -> float:
        return time.time() + self.wall_ahead

    def forward(self, seconds: float) -> None:
        self.monotonic_ahead += seconds
        self.wall_ahead += seconds


def eventually(fact: Callable[[], object], seconds: float = 10.0) -> None:
    """Poll a fact until it holds; fails when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)
