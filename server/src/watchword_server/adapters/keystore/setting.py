"""Master keys in the settings: the same until the process is started again."""

from __future__ import annotations

from typing import Final, Literal

from watchword_server.adapters.keystore.master import MasterKeys, parse
from watchword_server.adapters.keystore.masters import Unchanged
from watchword_server.ports import KeyStoreError


class MasterKeySetting:
    """The setting, as a source of master keys. Raises KeyStoreError where it is none."""

    kind: Final[Literal["setting"]] = "setting"
    place: Final = "the setting master_key"
    pause: Final = 0.0

    def __init__(self, text: str) -> None:
        try:
            self._keys = parse(text)
        except KeyStoreError as error:
            raise KeyStoreError(f"{self.place} cannot be used, {error}") from error

    def read(self) -> MasterKeys:
        """All of them, the newest first."""
        return self._keys

    def renew(self) -> Unchanged:
        """Whoever looks after the settings does it."""
        return Unchanged()
