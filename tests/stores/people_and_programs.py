"""One of everything that a store keeps."""

from __future__ import annotations

from watchword_server.changes import Add, Audit, StoredKey
from watchword_server.people.values import Session, User
from watchword_server.protocol.values import Api, Client, EncryptedToken, Encryption, Grant, RefreshToken

NOW = 1_800_000_000

USER = User("sub-ann", "ann@example.com", "Ann Ünïcode", "$argon2id$x", ("admin", "staff"), NOW)
OTHER_USER = User("sub-bob", "bob@example.com", "Bob", None, (), NOW, disabled_at=NOW + 1)
CLIENT = Client(
    client_id="web",
    name="Web shop",
    kind="confidential",
    secret_hash=b"\x00\xff" * 16,
    grant_types=frozenset({"client_credentials", "refresh_token"}),
    access={"https://orders.example": ("orders.read", "orders.write"), "https://stock.example": ()},
    created_at=NOW,
    first_party=True,
    redirect_uris=("https://shop.example/back",),
    origins=("https://shop.example",),
    rotates=False,
    disabled_at=NOW + 2,
    access_token_alg="EdDSA",
)
OTHER_CLIENT = Client("spa", "App", "public", None, frozenset(), {}, NOW)
API = Api(
    audience="https://orders.example",
    name="Orders",
    scopes=("orders.read", "orders.write"),
    client_id="api-orders",
    secret_hash=b"s" * 32,
    created_at=NOW,
    access_token_alg="PS256",
    encryption=Encryption("A256GCM", jwk={"kty": "EC", "key_ops": ["deriveKey"], "kid": "k"}),
)
SESSION = Session("sid-1", "sub-ann", "web", ("pwd", "otp"), NOW, NOW + 3600, "192.0.2.7", "curl/8")
GRANT = Grant("gid-1", "web", "sub-ann", API.audience, ("orders.read",), NOW, NOW + 3600, sid="sid-1")
TOKEN = RefreshToken(b"h" * 32, "gid-1", NOW, NOW + 600)
ENCRYPTED = EncryptedToken(b"e" * 32, b"\x00sealed\xff", NOW + 900)
KEY = StoredKey("kid-1", "access", "ES256", '{"kty":"EC"}', b"\x01sealed", NOW)

PARENTS = (Add(USER), Add(CLIENT), Add(API))
"""What sessions, grants and tokens stand on."""
EVERYTHING = (*PARENTS, Add(SESSION), Add(GRANT), Add(TOKEN), Add(ENCRYPTED), Add(KEY))

AUDIT = Audit(
    at=NOW * 1000 + 7,
    actor="user:sub-ann",
    action="session.create",
    outcome="ok",
    target="session:sid-1",
    address="192.0.2.7",
    agent="curl/8",
    request_id="req-1",
    detail={"client_id": "web", "n": 3},
)
