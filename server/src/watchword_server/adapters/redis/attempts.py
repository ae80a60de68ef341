"""Failed sign-ins, counted for all nodes together; by each node alone while Redis is lost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from watchword_server.adapters.redis.link import Link, Script
from watchword_server.people.throttle import FREE_FOR_ACCOUNT, FREE_FOR_ADDRESS, LONGEST, MEMORY
from watchword_server.ports import Attempts, Unavailable

KIND: Final = "attempts"

BEGIN: Final = Script("""
local now, free_for_account, free_for_address, longest, memory = unpack(ARGV)
local pause, failures = 0, {}
for n, key in ipairs(KEYS) do
  local tally = redis.call('HMGET', key, 'failures', 'last')
  local count, last = tonumber(tally[1]) or 0, tonumber(tally[2]) or 0
  if now - last >= tonumber(memory) then count = 0 end
  local free = tonumber(n == 1 and free_for_account or free_for_address)
  if count >= free then
    local delay = math.min(tonumber(longest), 2 ^ math.min(count - free, 20))
    pause = math.max(pause, math.ceil(last + delay - now))
  end
  failures[n] = count + 1
end
if pause == 0 then
  for n, key in ipairs(KEYS) do
    redis.call('HSET', key, 'failures', failures[n], 'last', now)
    redis.call('EXPIRE', key, memory)
  end
end
return pause
""")
"""`people/throttle.py` in Lua: looked at and counted in one step, however many nodes ask at once."""

TAKE_BACK: Final = Script("""
for n, key in ipairs(KEYS) do
  if n > tonumber(ARGV[1]) and tonumber(redis.call('HGET', key, 'failures') or 0) > 1 then
    redis.call('HINCRBY', key, 'failures', -1)
  else
    redis.call('DEL', key)
  end
end
return 0
""")
"""Uncounts one attempt; of the first so many keys, all."""


class RedisAttempts:
    """Tallies in Redis. Every method raises Unavailable while it is lost."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def begin(self, keys: Sequence[str], now: float) -> int:
        """Seconds to wait, or 0: then this attempt counts as failed. The first key is the account."""
        limits = (repr(now), FREE_FOR_ACCOUNT, FREE_FOR_ADDRESS, LONGEST, MEMORY)
        return int(await self._link.run(BEGIN, self._names(keys), *limits))

    async def succeed(self, keys: Sequence[str]) -> None:
        """Forget the account's failures and take this attempt back from the others."""
        await self._link.run(TAKE_BACK, self._names(keys), 1)

    async def take_back(self, keys: Sequence[str]) -> None:
        """This attempt never was one."""
        await self._link.run(TAKE_BACK, self._names(keys), 0)

    def _names(self, keys: Sequence[str]) -> list[str]:
        return [self._link.key(KIND, key) for key in keys]


class SharedAttempts:
    """Those that are shared decide; this node's own go along, and decide while the others cannot be asked."""

    def __init__(self, shared: RedisAttempts, own: Attempts) -> None:
        self._shared = shared
        self._own = own

    async def begin(self, keys: Sequence[str], now: float) -> int:
        """Seconds to wait, or 0: then this attempt counts as failed."""
        try:
            pause = await self._shared.begin(keys, now)
        except Unavailable:
            return await self._own.begin(keys, now)
        if not pause:
            await self._own.begin(keys, now)
        return pause

    async def succeed(self, keys: Sequence[str]) -> None:
        """Forget the account's failures and take this attempt back from the others."""
        await self._own.succeed(keys)
        with suppress(Unavailable):
            await self._shared.succeed(keys)

    async def take_back(self, keys: Sequence[str]) -> None:
        """This attempt never was one."""
        await self._own.take_back(keys)
        with suppress(Unavailable):
            await self._shared.take_back(keys)
