"""An API whose tokens are encrypted: a token a line on standard input, what its Verifier made of it a line back.

Arguments: one JSON object with `issuer`, `audience`, `credentials`, `keys` (the private key set, or null) and
`stale_after` in seconds. Ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

from watchword import CannotDecide, InvalidToken, Verifier


def main(settings: str) -> None:
    """Until standard input ends."""
    given = json.loads(settings)
    verifier = Verifier(
        issuer=given["issuer"],
        audience=given["audience"],
        credentials=tuple(given["credentials"]),
        decryption_jwks=given["keys"],
        stale_after=timedelta(seconds=given["stale_after"]),
    )
    with verifier:
        for line in sys.stdin:
            print(json.dumps(_answer(verifier, line.strip())), flush=True)


def _answer(verifier: Verifier, token: str) -> dict[str, object]:
    try:
        principal = verifier.verify_sync(token)
    except (InvalidToken, CannotDecide) as error:
        return {"refused": type(error).__name__}
    return {"subject": principal.subject, "jti": principal.token_id, "client_id": principal.client_id}


if __name__ == "__main__":
    main(sys.argv[1])
