"""Every program in examples/ does what it says, against a real issuer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.stories.processes import Site, bearer, environ, free_ports, start, until
from watchword.client import signing_key

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_api_accepts_a_token_and_refuses_a_revoked_one(site: Site):
    """examples/orders_api.py: its scopes are asked for, and a revocation reaches it."""
    (port,) = free_ports()
    env = environ(
        ISSUER=site.issuer, AUDIENCE=site.audience, CLIENT_ID=site.api.client_id, CLIENT_SECRET=site.api.secret or ""
    )
    api = start("example", (sys.executable, "-m", "uvicorn", "orders_api:app", "--port", str(port)), env, EXAMPLES)
    try:
        base = f"http://127.0.0.1:{port}"
        api.wait_until_ready(f"{base}/docs")
        client = site.new_client()
        token = site.client_token(client, scope="orders:read")
        assert site.http.get(f"{base}/orders", headers=bearer(token)).json() == {"orders of": client.client_id}
        assert site.http.delete(f"{base}/orders/7", headers=bearer(token)).status_code == 403
        assert site.http.get(f"{base}/orders").status_code == 401
        site.cli("revoke", "client", client.client_id)
        until(lambda: site.http.get(f"{base}/orders", headers=bearer(token)).status_code == 401, within=1)
    finally:
        api.stop()


def test_the_job_gets_its_token_and_calls(site: Site):
    """examples/nightly_job.py, beside the demo API."""
    client = site.new_client()
    env = environ(ISSUER=site.issuer, CLIENT_ID=client.client_id, CLIENT_SECRET=client.secret or "", API=site.api_url)
    ran = subprocess.run(
        [sys.executable, EXAMPLES / "nightly_job.py"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "[]\n"), ran.stderr


def test_the_job_that_signs_its_own_tokens_calls(site: Site, tmp_path: Path):
    """examples/signed_job.py, with a key as openssl writes it."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "job.pem").write_bytes(pem)
    (tmp_path / "job.json").write_text(json.dumps({"keys": [signing_key(pem, "ES256").public_jwk()]}))
    client = site.new_client("job", "--jwks", str(tmp_path / "job.json"), "--signs-tokens")
    env = environ(
        CLIENT_ID=client.client_id, KEY_FILE=str(tmp_path / "job.pem"), AUDIENCE=site.audience, API=site.api_url
    )
    ran = subprocess.run(
        [sys.executable, EXAMPLES / "signed_job.py"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "[]\n"), ran.stderr


@pytest.mark.interop
def test_an_agent_finds_its_way_into_the_mcp_server():
    """examples/mcp_server, all four of its programs, as `make mcp-demo` runs them."""
    demo = EXAMPLES / "mcp_server" / "demo.py"
    ran = subprocess.run(
        [sys.executable, demo], env=environ(), capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    steps = [
        "-> 401",
        "oauth-protected-resource/mcp -> 200",
        "reads the agent's metadata document",
        "the person reads: L localhost calls itself “ Example agent ”",
        "list_notes: {'result': []}",
        'error="insufficient_scope"',
        "notes:write",
        "add_note: {'result': 1}",
        "refuses the token",
        "That was all of it.",
    ]
    at = [ran.stdout.find(step) for step in steps]
    assert at == sorted(at), ran.stdout
    assert -1 not in at, ran.stdout


def test_every_example_is_run_here():
    """A program that no test runs is a rumour."""
    assert {file.name for file in EXAMPLES.glob("*.py")} == {"orders_api.py", "nightly_job.py", "signed_job.py"}
    assert {folder.name for folder in EXAMPLES.iterdir() if (folder / "demo.py").exists()} == {"mcp_server"}
