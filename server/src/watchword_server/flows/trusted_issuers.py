"""Other issuers that the operator trusts, and their keys: given by the operator, or published by the issuer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from watchword.jose.jwk import PublicKey
from watchword.jose.jwt import claims
from watchword_server.flows.client_keys import KEEP, KeySet
from watchword_server.flows.published import Place, Published
from watchword_server.ports import Fetcher
from watchword_server.protocol.foreign_token import Trust


class TrustedIssuers:
    """Finds them by what a token says of itself, which is then verified. One for all requests of a process."""

    def __init__(self, fetcher: Fetcher, trusts: Sequence[Trust] = ()) -> None:
        """Raises InvalidKey where keys that were given are no key set."""
        self._trusts = {one.issuer: one for one in trusts}
        self._given = {one.issuer: KeySet(one.jwks) for one in trusts if one.jwks is not None}
        self._published = {
            one.issuer: Published(fetcher, Place(one.jwks_uri, f"the keys of {one.issuer}", _read, True, KEEP))
            for one in trusts
            if one.jwks_uri is not None
        }

    def find(self, issuer: str) -> Trust | None:
        """What is trusted of an issuer; its name is compared letter by letter."""
        return self._trusts.get(issuer)

    async def keys(self, trust: Trust, alg: str, kid: str, now: int) -> Mapping[str, PublicKey]:
        """The keys that verify this algorithm, by `kid`; none where none can be had.

        A `kid` that is not known is looked for once more, since there may be new keys.
        """
        if trust.issuer in self._given:
            return await self._given[trust.issuer].verifying(alg)
        place = self._published[trust.issuer]
        found = await place.at(now)
        keys = {} if found is None else await found.verifying(alg)
        if kid in keys:
            return keys
        newer = await place.anew(now)
        return keys if newer is None or newer is found else await newer.verifying(alg)

    def close(self) -> None:
        """Fetch no more."""
        for one in self._published.values():
            one.close()


def _read(body: bytes) -> KeySet:
    return KeySet(claims(body))
