"""One of everything that a store keeps."""

from __future__ import annotations

from watchword_server.changes import Add, Audit, StoredKey
from watchword_server.people.values import Session, User
from watchword_server.protocol.claims import ClaimsRequest, Wanted
from watchword_server.protocol.grants.authorization_code import Code
from watchword_server.protocol.values import (
    Api,
    Authentication,
    Client,
    ClientMetadata,
    Consent,
    DeploymentSecret,
    EncryptedToken,
    Encryption,
    Grant,
    Interaction,
    Invitation,
    PushedRequest,
    RefreshToken,
)

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
PERSON = User(
    "sub-cho", "cho@example.com", "Cho", None, (), NOW, profile={"address": {"locality": "Ulm"}, "zoneinfo": "UTC"}
)
OPENID_CLIENT = Client(
    client_id="app",
    name="App",
    kind="confidential",
    secret_hash=b"a" * 32,
    grant_types=frozenset({"authorization_code"}),
    access={},
    created_at=NOW,
    metadata=ClientMetadata(
        pkce="optional", jwks={"keys": [{"kty": "EC"}]}, management_hash=b"\x00\xff", request_uris=("https://a/b",)
    ),
)
AT_BROWSER = Session(
    "sid-2", "sub-ann", "app", ("pwd",), NOW, NOW + 3600, "", "", browser=b"b" * 32, authenticated_at=NOW + 5
)
OPENID_GRANT = Grant(
    "gid-2",
    "app",
    "sub-ann",
    "https://id.example",
    ("openid", "email"),
    NOW,
    NOW + 3600,
    made_in="sid-2",
    authentication=Authentication(
        sid="sid-2", auth_time=NOW, amr=("pwd",), claims=ClaimsRequest({"acr": Wanted(True, ("1", 2, True))})
    ),
)
CODE = Code(
    hash=b"c" * 32,
    client_id="app",
    redirect_uri="https://app/cb",
    code_challenge="x",
    nonce="n",
    gid="gid-2",
    expires_at=NOW + 60,
)
CONSENT = Consent("sub-ann", "app", "https://id.example", ("openid",), NOW)
INTERACTION = Interaction(b"i" * 32, "app", {"scope": "openid", "state": "ü"}, b"b" * 32, NOW + 600)
PUSHED = PushedRequest(b"p" * 32, "app", {"scope": "openid"}, NOW + 60)
INVITATION = Invitation(b"v" * 32, NOW, NOW + 600, 2)
SALT = DeploymentSecret("salt", b"\x00\xff")
OF_OPENID = tuple(
    Add(one) for one in (PERSON, OPENID_CLIENT, AT_BROWSER, OPENID_GRANT, CODE, INTERACTION, PUSHED, INVITATION, SALT)
)
"""To be added after everything else."""
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
