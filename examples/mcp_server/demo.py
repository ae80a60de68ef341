"""`make mcp-demo`: an issuer, an MCP server and an agent that gets in, each step said as it happens.

Everything is real and on this machine: `watchword dev`, server.py, and agent.py with the official `mcp` package. Only
the person is played. The agent is nobody's registered client: it is known by its metadata document, which stands on
a little web server here with a certificate of its own.
"""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from agent import CALLBACK, Memory, signing_in
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from person import Person

HERE = Path(__file__).parent
TETHERED = (sys.executable, "-m", "watchword_server.demo.tether")
"""Runs a module that ends when this program does, however it does."""


def say(text: str) -> None:
    """One thing that happened."""
    print(text, flush=True)


def free_port() -> int:
    """A port with a free one after it."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        found: int = one.getsockname()[1]
    return found if found % 2 == 0 else found - 1


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for `localhost`, signed by itself, and what serves with it."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "demo")]),
    )
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    file, private = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, private)
    return file, context


@asynccontextmanager
async def published(context: ssl.SSLContext) -> AsyncIterator[str]:
    """The agent's metadata document on a server of its own; its address, which is the agent's `client_id`."""
    document = b""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        say("    (the issuer reads the agent's metadata document)")
        head = f"content-type: application/json\r\ncontent-length: {len(document)}\r\nconnection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + document)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    async with server:
        address = f"https://localhost:{server.sockets[0].getsockname()[1]}/agent.json"
        said = {
            "client_id": address,
            "client_name": "Example agent",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        document = json.dumps(said).encode()
        yield address


@contextmanager
def running(*command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A program beside this one."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")} | variables
    pipe = subprocess.PIPE
    program = subprocess.Popen(
        [*TETHERED, *command], env=env, cwd=HERE, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield program
    finally:
        program.terminate()
        program.wait(20)


async def ready(url: str) -> None:
    """Wait until something answers there."""
    async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
        while True:
            try:
                await http.get(url)
            except httpx2.HTTPError:
                await asyncio.sleep(0.05)
            else:
                return


def watchword(data: Path, *arguments: str) -> dict[str, Any]:
    """The command line, as an operator uses it."""
    config = ("--config", str(data / "watchword.toml"), "--json")
    ran = subprocess.run(
        [sys.executable, "-m", "watchword_server", *arguments, *config], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


async def told(response: httpx2.Response) -> None:
    """What the agent sees, and nothing else."""
    request, more = response.request, ""
    if "www-authenticate" in response.headers:
        more = f"\n        WWW-Authenticate: {response.headers['www-authenticate']}"
    say(f"    {request.method} {request.url.copy_with(query=None)} -> {response.status_code}{more}")


async def show(url: str, document: str, person: Person, data: Path) -> None:
    """The agent's way in, a second scope, and the way out."""

    async def allows(address: str) -> str:
        back = await person.visit(address)
        say(f"    the person reads: {person.shown.partition(' Do not allow')[0]}")
        say("    and allows it")
        return back

    memory = Memory()
    auth = signing_in(url, document, allows, memory)
    http = httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False, event_hooks={"response": [told]})
    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        say("\n2. It is let in, and calls a tool.")
        found = await client.call_tool("list_notes")
        say(f"    list_notes: {found.structured_content}")
        say("\n3. It calls a tool that needs more than the person has allowed so far.")
        found = await client.call_tool("add_note", {"text": "bought milk"})
        say(f"    add_note: {found.structured_content}")
        await taken_back(url, data, document, memory)


async def taken_back(url: str, data: Path, document: str, memory: Memory) -> None:
    """The operator takes back what the agent has; how long the MCP server still believes it."""
    say("\n4. What it was allowed is taken back.")
    assert memory.tokens is not None  # noqa: S101  # it has called
    headers = {"authorization": f"Bearer {memory.tokens.access_token}", "accept": "text/event-stream"}
    say(f"    watchword revoke client {document}")
    await asyncio.to_thread(watchword, data, "revoke", "client", document)
    began = time.monotonic()
    async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(30):
        while True:
            answer = await http.get(url, headers=headers)
            if answer.status_code == 401:
                break
            await asyncio.sleep(0.005)
    say(f"    the MCP server refuses the token {1000 * (time.monotonic() - began):.0f} ms later")


async def main() -> None:
    """All of it, in a folder of its own."""
    async with AsyncExitStack() as later:
        stack = later.enter_context(ExitStack())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trusted, context = certificate(folder)
        document = await later.enter_async_context(published(context))
        port, data = free_port(), folder / "issuer"
        dev = ("watchword_server", "dev", "--port", str(port), "--data", str(data), "--json")
        issuer = stack.enter_context(running(*dev, SSL_CERT_FILE=str(trusted)))
        assert issuer.stdout is not None  # noqa: S101  # a pipe
        known = json.loads(await asyncio.to_thread(issuer.stdout.readline))
        say(f"The issuer is {known['issuer']}; it trusts the certificate of the agent's web server.")
        notes = free_port()
        url = f"http://localhost:{notes}/mcp"
        scopes = ("--scope", "notes:read", "--scope", "notes:write", "--self-service")
        api = watchword(data, "api", "add", url, "--name", "Notes", *scopes)
        settings = {"ISSUER": known["issuer"], "URL": url}
        settings |= {"CLIENT_ID": api["client_id"], "CLIENT_SECRET": api["client_secret"]}
        stack.enter_context(
            running("uvicorn", "server:app", "--port", str(notes), "--log-level", "warning", **settings)
        )
        await ready(url)
        say(f"The MCP server is {url}.")
        say(f"The agent's client_id is {document}; nobody has registered it.")
        say(f"\n1. The agent is given {url}, and nothing else.")
        await show(url, document, Person(**known["user"]), data)
        say("\nThat was all of it.")


if __name__ == "__main__":
    asyncio.run(main())
