"""Configurations of channels: read from what somebody gives, sealed for the disk, opened again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from libs.common.errors import BadInput
from libs.common.security import SecretUnreadable, Vault
from services.notify.kinds.base import ChannelConfig
from services.notify.kinds.table import kind_of
from services.notify.store import Channel
from services.notify.target_rules import Network, explain_refusal, find_address, is_allowed


def read_config(kind: str, given: dict[str, Any]) -> ChannelConfig:
    """Raises: UnknownKind; BadInput with what to change, never the value, which may be secret."""
    try:
        return kind_of(kind).config.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(("config", *(str(part) for part in first["loc"])))
        raise BadInput(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def changed_config(kind: str, old: ChannelConfig | None, changes: dict[str, Any]) -> ChannelConfig:
    """Return the config with `changes` on top; what is null goes back to its default.

    Raises: BadInput.
    """
    kept = {} if old is None else old.model_dump()
    given = {**kept, **changes}
    return read_config(kind, {name: value for name, value in given.items() if value is not None})


def judge_target(config: ChannelConfig, allowed: Sequence[Network]) -> None:
    """An address given as a number is judged at once; a name on every connect. Raises: BadInput."""
    field, host = config.target
    address = find_address(host)
    if address is not None and not is_allowed(address, allowed):
        raise BadInput(f"config.{field}: {explain_refusal(address)}")


def seal(vault: Vault, config: ChannelConfig) -> str:
    return vault.seal(config.model_dump_json().encode()).decode()


def open_config(vault: Vault, channel: Channel) -> ChannelConfig:
    """Raises: SecretUnreadable."""
    return kind_of(channel.kind).config.model_validate_json(vault.open(channel.sealed.encode()))


def find_config(vault: Vault, channel: Channel) -> ChannelConfig | None:
    """None if the key file is another one by now: the channel can still be changed."""
    try:
        return open_config(vault, channel)
    except SecretUnreadable:
        return None
