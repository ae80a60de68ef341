"""The Orders API: what any API that accepts Watchword's tokens looks like."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

from fastapi import FastAPI, Response, Security
from pydantic import BaseModel, Field

from watchword import Principal, Verifier
from watchword.integrations.fastapi import Bearer

COOKIE: Final = "__Host-watchword-access"
"""The issuer's access cookie; a browser at localhost sends it to every port of localhost."""
MOST: Final = 100
"""Orders that are remembered of one subject."""


class NewOrder(BaseModel):
    """What is ordered."""

    item: str = Field(min_length=1, max_length=100)
    quantity: int = Field(default=1, ge=1, le=1000)


class Order(NewOrder):
    """An order that was placed."""

    number: int


def application(verifier: Verifier, public_url: str) -> FastAPI:
    """The API, deciding with this verifier, whose life is its own; clients know it by the URL."""
    bearer = Bearer(verifier, cookie=COOKIE, origins=(verifier.issuer,), public_url=public_url)
    may_read = Security(bearer, scopes=["orders:read"])
    may_write = Security(bearer, scopes=["orders:write"])
    anybody = Security(bearer)
    placed: defaultdict[str, deque[Order]] = defaultdict(lambda: deque(maxlen=MOST))
    numbers = count(1)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        async with verifier:
            yield

    app = FastAPI(title="Orders API", summary="The demo API of Watchword.", lifespan=life)

    @app.get("/orders")
    async def orders(principal: Principal = may_read) -> list[Order]:
        """The caller's own orders."""
        return list(placed[principal.subject]) if principal.subject in placed else []

    @app.post("/orders", status_code=201)
    async def order(new: NewOrder, principal: Principal = may_write) -> Order:
        """Place an order."""
        made = Order(item=new.item, quantity=new.quantity, number=next(numbers))
        placed[principal.subject].append(made)
        return made

    @app.get("/me")
    async def me(principal: Principal = anybody) -> dict[str, Any]:
        """Whom the token speaks for, and what it may do."""
        return {
            "subject": principal.subject,
            "client_id": principal.client_id,
            "scopes": sorted(principal.scopes),
            "roles": sorted(principal.roles),
            "expires_at": principal.expires_at,
        }

    @app.get("/healthz")
    async def health() -> dict[str, Any]:
        """Alive; and how fresh its knowledge of revocations is."""
        return {"status": "alive", "freshness": _freshness(verifier)}

    @app.get("/readyz")
    async def ready(response: Response) -> dict[str, Any]:
        """Whether it can decide by itself."""
        is_ready = verifier.freshness.state == "fresh"
        response.status_code = 200 if is_ready else 503
        return {"status": "ready" if is_ready else "not ready", "freshness": _freshness(verifier)}

    return app


def _freshness(verifier: Verifier) -> dict[str, Any]:
    found = verifier.freshness
    return {"state": found.state, "seq": found.seq, "entries": found.entries}
