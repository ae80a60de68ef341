"""`/register` over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.server.assertions import assertion, by_secret, claims, shown
from tests.server.web.served import AUDIENCE, Served, basic, bearer, served
from watchword.jose.jwk import SecretKey, SigningKey
from watchword_server.protocol.self_registration import OURS

URI = "https://rp.example/cb"
KEY, NEXT = SigningKey.generate("ES256"), SigningKey.generate("ES256")
LEAST = {"redirect_uris": [URI], "id_token_signed_response_alg": "ES256"}
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server where everybody may register, at a path of its own."""
    settings = {"REGISTRATION__MODE": "open", "REGISTRATION__APIS": f"{AUDIENCE} https://gone.example"}
    with served(tmp_path_factory.mktemp("open"), path="/tenant", **settings) as found:
        yield found


@pytest.fixture(scope="module")
def shop() -> Iterator[int]:
    """The port of somebody's server with a logo."""

    class Logo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(PNG)))
            self.end_headers()
            self.wfile.write(PNG)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Logo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def registered(door: Served, **said: object) -> dict[str, str]:
    """What a new client is told."""
    answer = door.http.post("/register", json={**LEAST, **said})
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


def place(told: dict[str, str]) -> str:
    """Where a client is looked after."""
    return "/register/" + told["registration_client_uri"].rpartition("/")[2]


def test_a_client_is_told_all_that_is_registered(door: Served) -> None:
    """201, for nobody's cache (RFC 7591 §3.2.1)."""
    answer = door.http.post("/register", json={**LEAST, "client_name": "RP", "scope": "openid orders:read"})
    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert told["client_secret_expires_at"] == 0
    assert told["registration_client_uri"] == f"{door.issuer}/register/{told['client_id']}"
    assert (told["redirect_uris"], told["client_name"]) == ([URI], "RP")
    assert (told["grant_types"], told["response_types"]) == (["authorization_code"], ["code"])
    assert set(told["scope"].split()) >= {"openid", "profile", "email", "orders:read"}
    assert "orders:write" not in told["scope"]
    assert told["token_endpoint_auth_method"] == "client_secret_basic"


def test_a_client_can_do_with_its_secret_what_others_can(door: Served) -> None:
    """It is known at once, and only for what it registered."""
    told = registered(door)
    form = {"grant_type": "client_credentials"}
    answer = door.http.post("/token", data=form, auth=(told["client_id"], told["client_secret"]))
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    answer = door.http.post("/token", data=form, auth=(told["client_id"], told["registration_access_token"]))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_client_that_registers_a_key_gets_no_secret(door: Served) -> None:
    """It signs who it is, from then on and after any update, with the key that is registered then."""
    said = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [KEY.public_jwk()]}}
    told = registered(door, **said, token_endpoint_auth_signing_alg="ES256")
    assert not {"client_secret", "client_secret_expires_at"} & told.keys()
    assert told["token_endpoint_auth_signing_alg"] == "ES256"
    assert asked_by(door, told, KEY) == (400, "unauthorized_client")
    assert asked_by(door, told, NEXT) == (401, "invalid_client")
    update = {**LEAST, **said, "client_id": told["client_id"], "jwks": {"keys": [NEXT.public_jwk()]}}
    newer = door.http.put(place(told), headers=bearer(told["registration_access_token"]), json=update).json()
    assert (asked_by(door, told, KEY)[1], asked_by(door, told, NEXT)[1]) == ("invalid_client", "unauthorized_client")
    secretive = {**update, "token_endpoint_auth_method": "client_secret_basic"}
    refused = door.http.put(place(told), headers=bearer(newer["registration_access_token"]), json=secretive)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")


def test_a_client_may_sign_with_its_secret(door: Served) -> None:
    """The secret is told once; an update keeps it, and keeps it secret."""
    told = registered(door, token_endpoint_auth_method="client_secret_jwt", token_endpoint_auth_signing_alg="HS512")
    key = by_secret(told["client_secret"], "HS512")
    assert asked_by(door, told, key) == (400, "unauthorized_client")
    said = {**LEAST, "client_id": told["client_id"], "token_endpoint_auth_method": "client_secret_jwt"}
    updated = door.http.put(place(told), headers=bearer(told["registration_access_token"]), json=said)
    assert "sealed_secret" not in updated.text
    assert asked_by(door, told, by_secret(told["client_secret"], "HS256")) == (400, "unauthorized_client")


def asked_by(door: Served, told: dict[str, str], key: SigningKey | SecretKey) -> tuple[int, str]:
    """What `/token` says to a client that signs with this: that it may not, where it is known."""
    text = assertion(key, claims(told["client_id"], door.issuer, int(time.time())))
    answer = door.http.post("/token", data={"grant_type": "client_credentials", **shown(text)})
    return answer.status_code, answer.json()["error"]


def test_a_client_reads_updates_and_leaves(door: Served) -> None:
    """The whole of RFC 7592 §2, with the token that was good last."""
    told = registered(door)
    where, client_id = place(told), told["client_id"]
    read = door.http.get(where, headers=bearer(told["registration_access_token"]))
    assert (read.status_code, read.headers["cache-control"]) == (200, "no-store")
    secret = ("client_secret", "client_secret_expires_at")
    assert read.json() == {name: value for name, value in told.items() if name not in secret}
    said = {**LEAST, "client_id": client_id, "redirect_uris": [URI + "2"], "client_secret": told["client_secret"]}
    updated = door.http.put(where, headers=bearer(told["registration_access_token"]), json=said)
    assert (updated.status_code, updated.json()["redirect_uris"]) == (200, [URI + "2"])
    assert door.http.get(where, headers=bearer(told["registration_access_token"])).status_code == 401
    newer = bearer(updated.json()["registration_access_token"])
    assert door.http.get(where, headers=newer).json() == updated.json()
    left = door.http.delete(where, headers=newer)
    assert (left.status_code, left.content) == (204, b"")
    for method in ("GET", "DELETE"):
        assert door.http.request(method, where, headers=newer).status_code == 401
    assert door.http.put(where, headers=newer, json=said).status_code == 401
    answer = door.http.post("/token", data={"grant_type": "x"}, auth=(client_id, told["client_secret"]))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_who_leaves_may_hear_where_that_is_known(door: Served) -> None:
    """As everybody who takes something back."""
    told = registered(door)
    headers = {**bearer(told["registration_access_token"]), "prefer": "wait=1"}
    answer = door.http.delete(place(told), headers=headers)
    assert (answer.status_code, answer.json()["revocation"]["seq"]) == (200, answer.json()["revocation"]["seq"])
    assert answer.json()["revocation"]["seq"] > 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_who_has_not_the_token_learns_nothing(door: Served, method: str) -> None:
    """Unknown and wrong alike, asked for it in the header (RFC 7592 §3)."""
    told = registered(door)
    answers = []
    for where, header in (
        (place(told), None),
        (place(told), "Bearer wwg_wrong"),
        (place(told), "Bearer"),
        (place(told), f"Basic {told['registration_access_token']}"),
        (place(told), f"Bearer {told['client_secret']}"),
        (place(told), basic((told["client_id"], told["client_secret"]))),
        ("/register/client_unknown", f"Bearer {told['registration_access_token']}"),
        (f"/register/{door.known.machine[0]}", f"Bearer {door.known.machine[1]}"),
        ("/register/%00", "Bearer x"),
    ):
        headers = {} if header is None else {"authorization": header}
        body = None if method != "PUT" else {**LEAST, "client_id": told["client_id"]}
        answer = door.http.request(method, where, headers=headers, json=body)
        answers.append((answer.status_code, answer.text, answer.headers["www-authenticate"]))
    assert len(set(answers)) == 1
    assert answers[0][0] == 401
    assert answers[0][2] == 'Bearer realm="watchword", error="invalid_token"'


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        (b"", 400, "invalid_client_metadata"),
        (b"[]", 400, "invalid_client_metadata"),
        (b"{", 400, "invalid_client_metadata"),
        (b'{"client_name": "A", "client_name": "B"}', 400, "invalid_client_metadata"),
        (b'{"redirect_uris": ["https://a.example/"], "client_name": "\\ud800"}', 400, "invalid_client_metadata"),
        (b'{"redirect_uris": ["https://a.example/"], "client_name": "a\\u0000b"}', 400, "invalid_client_metadata"),
        (b'{"redirect_uris": ["https://a.example/"], "client_name": ""}', 400, "invalid_client_metadata"),
        (b'{"redirect_uris": ["https://a.example/#"]}', 400, "invalid_redirect_uri"),
        (b'{"redirect_uris": []}', 400, "invalid_redirect_uri"),
        (b"{}", 400, "invalid_redirect_uri"),
        (b'{"a":' * 20_000, 413, "invalid_request"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400, "invalid_client_metadata"),
        (b'{"client_name": "' + b"x" * 70_000 + b'"}', 413, "invalid_request"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_registered_is_refused(door: Served, content: bytes, status: int, error: str) -> None:
    """By its code (RFC 7591 §3.2.2), and with a sentence for who develops it."""
    headers = {"content-type": "application/json"}
    answer = door.http.post("/register", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]
    assert answer.headers["cache-control"] == "no-store"


def test_only_json_is_read_and_nothing_from_the_url(door: Served) -> None:
    """No form that any page could post."""
    assert door.http.post("/register", data={"redirect_uris": URI}).status_code == 415
    assert door.http.post("/register", content=json.dumps(LEAST)).status_code == 415
    assert door.http.post("/register?software_statement=x", json=LEAST).status_code == 400
    assert door.http.get("/register").status_code == 405
    told = registered(door)
    assert door.http.get(f"{place(told)}?access_token={told['registration_access_token']}").status_code == 400


def test_what_is_not_theirs_to_say_has_no_place_in_an_update(door: Served) -> None:
    """RFC 7592 §2.2."""
    told = registered(door)
    for name in OURS:
        said = {**LEAST, "client_id": told["client_id"], name: told[name]}
        answer = door.http.put(place(told), headers=bearer(told["registration_access_token"]), json=said)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
        assert name in answer.json()["error_description"]


def test_a_server_as_it_comes_registers_nobody(server: Served) -> None:
    """And says so."""
    answer = server.http.post("/register", json=LEAST)
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    assert "register" in answer.json()["error_description"]
    assert server.http.get("/register/client_1", headers=bearer("wwg_x")).status_code == 403


def test_a_logo_is_shown_from_our_copy(door: Served, shop: int) -> None:
    """As what it is, and as nothing that could do anything."""
    port = shop
    uris = {"redirect_uris": [f"http://127.0.0.1:{port}/cb"], "logo_uri": f"http://127.0.0.1:{port}/logo.svg"}
    told = registered(door, **uris)
    answer = door.http.get(f"/logos/{told['client_id']}")
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "max-age" in answer.headers["cache-control"]
    gone = door.http.delete(place(told), headers=bearer(told["registration_access_token"]))
    assert gone.status_code == 204
    assert door.http.get(f"/logos/{told['client_id']}").status_code == 404


@pytest.mark.parametrize("client_id", ["client_unknown", "..%2f..%2fetc%2fpasswd", "%00"])
def test_who_has_no_logo_has_none(door: Served, client_id: str) -> None:
    """404, and pages show initials."""
    assert door.http.get(f"/logos/{client_id}").status_code == 404
    assert door.http.get(f"/logos/{door.known.machine[0]}").status_code == 404


def test_a_false_invitation_is_refused_where_none_is_needed(door: Served) -> None:
    """Who shows one means it (RFC 7591 §3)."""
    for wrong in ("wwi_wrong", "wwg_wrong", "="):
        answer = door.http.post("/register", json=LEAST, headers={"authorization": f"Bearer {wrong}"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_page_of_any_origin_may_register(door: Served) -> None:
    """It takes no cookie. Refusals can be read too; what a client has registered is managed by no page."""
    page = {"origin": "https://inspector.example"}
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    asked = door.http.options("/register", headers={**page, **asks})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
    assert "POST" in asked.headers["access-control-allow-methods"]
    for said, status in ((LEAST, 201), ({}, 400)):
        answer = door.http.post("/register", json=said, headers=page)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")
        assert "set-cookie" not in answer.headers
    client_id = registered(door)["client_id"]
    assert "access-control-allow-origin" not in door.http.get(f"/register/{client_id}", headers=page).headers
