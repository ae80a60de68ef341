"""An API that accepts Watchword's tokens. Serve it with `uvicorn orders_api:app --port 8001`."""

import os
from typing import Annotated

from fastapi import FastAPI, Security

from watchword import Principal, Verifier
from watchword.integrations.fastapi import Bearer

# What `watchword api add https://orders.example --scope orders:read --scope orders:write` showed.
verifier = Verifier(
    issuer=os.environ["ISSUER"],
    audience=os.environ["AUDIENCE"],
    credentials=(os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]),
)
bearer = Bearer(verifier)
app = FastAPI(title="Orders")


@app.get("/orders")
async def orders(principal: Annotated[Principal, Security(bearer, scopes=["orders:read"])]) -> dict[str, str]:
    """Refused without a good token that has this scope: 401, 403, or 503 when nobody can tell."""
    return {"orders of": principal.subject}


@app.delete("/orders/{number}")
async def cancel(
    number: int, principal: Annotated[Principal, Security(bearer, scopes=["orders:write"])]
) -> dict[str, str | int]:
    """The endpoint may ask for more than scopes."""
    return {"cancelled": number, "by an administrator": str(principal.has_role("admin"))}
