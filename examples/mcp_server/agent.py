"""An agent that is given nothing but the address of an MCP server: it finds out by itself how to be let in.

    python agent.py URL [DOCUMENT]

DOCUMENT is the https address of its metadata document; without one it registers itself. It prints an address for you
to open in a browser, and waits at http://127.0.0.1:8003/callback for you to come back.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

CALLBACK = "http://127.0.0.1:8003/callback"
Person = Callable[[str], Awaitable[str]]
"""Takes a person to an address; where they came back to."""


class Memory:
    """What the agent remembers of an issuer: lost when it ends."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """As the package wants it, and so below."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Tokens, each time that there are new ones."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Which client this is."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Once, when it is known."""
        self.client = client_info


def signing_in(url: str, document: str | None, person: Person, memory: Memory) -> OAuthClientProvider:
    """What the official package does with a 401 and a 403, for `httpx2.AsyncClient(auth=...)`."""
    came_back: list[str] = []

    async def go(address: str) -> None:
        came_back.append(await person(address))

    async def back() -> AuthorizationCodeResult:
        query = dict(parse_qsl(urlsplit(came_back.pop()).query))
        return AuthorizationCodeResult(code=query.get("code", ""), state=query.get("state"), iss=query.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="Example agent", redirect_uris=[CALLBACK], token_endpoint_auth_method="none"
    )
    return OAuthClientProvider(url, metadata, memory, go, back, client_metadata_url=document)


async def by_browser(address: str) -> str:
    """A person who opens the address, and comes back to this machine."""
    print(f"Open this in a browser:\n\n  {address}\n")
    line: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readline()).decode("latin-1")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nYou may close this.\n")
        await writer.drain()
        writer.close()
        if request.startswith("GET /callback") and not line.done():
            line.set_result(request.split(" ")[1])

    place = urlsplit(CALLBACK)
    async with await asyncio.start_server(take, place.hostname, place.port):
        return await line


async def main(url: str, document: str | None = None) -> None:
    """Read the notes, and add one."""
    auth = signing_in(url, document, by_browser, Memory())
    http = httpx2.AsyncClient(auth=auth, timeout=300)
    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        print(await client.call_tool("list_notes"))
        print(await client.call_tool("add_note", {"text": "bought milk"}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
