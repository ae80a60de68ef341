"""An MCP server whose callers are known by Watchword: one tool to read notes, and one that needs a second scope.

Serve it with `uvicorn server:app --port 8002`.
"""

import os

from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings

from watchword import Verifier
from watchword.integrations.mcp import Protected, TokenVerifier
from watchword.protected_resource import ProtectedResource

# What `watchword api add URL --scope notes:read --scope notes:write --self-service` showed.
ISSUER, URL = os.environ["ISSUER"], os.environ["URL"]
verifier = Verifier(issuer=ISSUER, audience=URL, credentials=(os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]))
resource = ProtectedResource(url=URL, issuer=ISSUER, scopes=("notes:read",), name="Notes")
server = MCPServer(
    "Notes",
    token_verifier=TokenVerifier(verifier),
    auth=AuthSettings(issuer_url=ISSUER, resource_server_url=URL, validate_token_resource=True),
)
notes: dict[str, list[str]] = {}


@server.tool()
async def list_notes() -> list[str]:
    """The notes of whoever the caller acts for."""
    return notes.get(person(), [])


@server.tool()
async def add_note(text: str) -> int:
    """Keep a note; how many there are now."""
    notes.setdefault(person(), []).append(text)
    return len(notes[person()])


def person() -> str:
    """For whom the caller acts: `Protected` lets nobody in without a token."""
    token = get_access_token()
    assert token is not None and token.subject is not None  # noqa: PT018, S101  # else nobody would be here
    return token.subject


# A call of `add_note` without `notes:write` is answered with a 403 that says so, and the client asks its person.
app = Protected(server.streamable_http_app(), verifier, resource, tools={"add_note": ("notes:write",)})
