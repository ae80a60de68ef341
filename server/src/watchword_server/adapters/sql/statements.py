"""The statements as they are run: read from what `compile.py` wrote, without SQLAlchemy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

FOLDER: Final = Path(__file__).parent

Value = str | bytes | int | None
Row = tuple[Any, ...]
"""As the driver gives it: the schema alone says what stands in it."""


class Step(NamedTuple):
    """A statement with its parameters. `must` says that it has to hit exactly one row."""

    text: str
    arguments: tuple[Value, ...]
    must: bool


class Sql(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A compiled statement. `order` names its parameters; `fixed` are those that always have the same value.

    `by` says that it looks up a list of identities, and in which column of a row each is found again.
    """

    text: str
    order: tuple[str, ...] = ()
    fixed: dict[str, str | int] = {}
    by: int | None = None

    def bind(self, **values: Value) -> tuple[Value, ...]:
        """The parameters in the order that the text wants. Raises KeyError for one that is missing."""
        known: dict[str, Value] = {**self.fixed, **values} if self.fixed else values
        return tuple([known[name] for name in self.order])

    def step(self, **values: Value) -> Step:
        """To be run, whatever it hits."""
        return Step(self.text, self.bind(**values), must=False)

    def must(self, **values: Value) -> Step:
        """To be run, and a Conflict when it does not hit exactly one row."""
        return Step(self.text, self.bind(**values), must=True)


S = TypeVar("S")
"""A statement: SQLAlchemy's where it is written, `Sql` where it is run."""


class Queries(msgspec.Struct, Generic[S], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every statement that reads; `queries.py` writes them."""

    head: S
    after: S
    alive: S
    alive_after: S
    chain: S
    user: S
    user_named: S
    users: S
    client: S
    clients: S
    api: S
    api_of: S
    apis: S
    session: S
    sessions_of: S
    sessions_at: S
    grant: S
    grants_of: S
    parties: S
    parties_of: S
    grant_tree: S
    children: S
    heads_of: S
    redeemable: S
    waiting_device: S
    device_named: S
    held_key: S
    api_key: S
    api_keys_of: S
    api_keys: S
    consent: S
    consents_of: S
    interaction: S
    pushed_request: S
    invitation: S
    secret: S
    refresh_token: S
    family: S
    encrypted_token: S
    keys: S
    audit: S
    due: S
    lease: S
    leases_of: S
    leases: S
    leases_behind: S


class Commands(msgspec.Struct, Generic[S], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every statement that writes; `commands.py` writes them. Those for the group commit are run by `writer.py`."""

    add: dict[str, S]
    """By the name of the record's class."""
    set_password: S
    set_profile: S
    set_roles: S
    set_user_disabled: S
    set_client_disabled: S
    set_client_secret: S
    reseal_secret: S
    replace_client: S
    keep_client: S
    set_api_secret: S
    set_api_alg: S
    set_self_service: S
    set_api_encryption: S
    set_client_alg: S
    end_session: S
    end_grants_of_session: S
    end_sessions_of_user: S
    end_grants_of_user: S
    end_grant: S
    end_grants_of_client: S
    end_grants_between: S
    end_below: S
    end_below_client: S
    end_below_between: S
    alive: S
    bind_grant: S
    reauthenticate: S
    move_sessions: S
    move_interactions: S
    remember: S
    forget: S
    advance: S
    finish: S
    take_pushed: S
    use_invitation: S
    spend_code: S
    poll_device: S
    decide_device: S
    spend_device: S
    use_api_key: S
    spend: S
    unrevoked: S
    activate_key: S
    reseal_key: S
    drop_key: S
    retire_key: S
    revoke_key: S
    raise_lifetime: S
    send: S
    claim: S
    sent: S
    retry: S
    spend_once: S
    keep_leases: dict[int, S]
    """By the number of rows."""
    purge: tuple[S, ...]
    """In this order: children before their parents."""
    purge_audit: S
    # What the group commit runs.
    begin_log: S
    head: S
    move_head: S
    append: S
    audit: dict[int, S]
    """By the number of rows."""


class Statements(msgspec.Struct, Generic[S], frozen=True, forbid_unknown_fields=True):
    """All of them."""

    queries: Queries[S]
    commands: Commands[S]


def path(dialect: str) -> Path:
    """Where the statements of a dialect are kept."""
    return FOLDER / f"statements.{dialect}.json"


def load(dialect: str) -> Statements[Sql]:
    """The statements of a dialect, as they were compiled."""
    return msgspec.json.decode(path(dialect).read_bytes(), type=Statements[Sql])
