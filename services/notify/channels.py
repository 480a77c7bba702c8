"""The verbs on channels: make, change, delete, show, test. Secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from libs.common.errors import BadInput
from libs.common.events.host import Actor, Audit
from libs.common.loop.machine import Verb
from libs.common.loop.tx import Tx
from libs.common.security import SecretUnreadable, Vault
from services.notify import delivering, message, queue, store
from services.notify.errors import UnknownKind
from services.notify.policy import Filter, News
from services.notify.queue import NewDelivery
from services.notify.store import Channel
from services.notify.target_rules import Network, explain_refusal, find_address, is_allowed
from services.notify.views import audited_view, channel_view, delivery_view
from services.notify.webhook_config import WebhookConfig

WEBHOOK = "webhook"
LATER_KINDS = ("smtp", "ntfy", "apprise", "alertmanager")


class Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoArguments(Arguments):
    pass


class OfChannel(Arguments):
    id: str


def _clean_name(name: str) -> str:
    stripped = name.strip()
    if not stripped or len(stripped) > 64 or not stripped.isprintable():
        raise ValueError("a channel's name is 1 to 64 printable characters")
    return stripped


class CreateChannel(Arguments):
    name: str
    kind: str
    config: dict[str, Any]
    filter: Filter | None = None

    _name = field_validator("name")(_clean_name)


class PatchChannel(Arguments):
    """What is absent stays. `config` changes the keys that it has; `filter` null removes it."""

    id: str
    name: str | None = None
    config: dict[str, Any] | None = None
    filter: Filter | None = None

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        return None if name is None else _clean_name(name)


class ListDeliveries(Arguments):
    """`before`: only those that were queued before this delivery."""

    channel_id: str
    limit: int = Field(default=100, ge=1, le=1001)
    before: str | None = None


class ChannelVerbs:
    """The handlers; they need the vault and the networks allowed, and hold nothing else."""

    def __init__(self, vault: Vault, allowed: Sequence[Network]) -> None:
        self._vault, self._allowed = vault, allowed

    def create(self, tx: Tx, actor: Actor, asked: CreateChannel) -> dict[str, Any]:
        """Raises: UnknownKind, BadInput."""
        check_kind(asked.kind)
        config = self._check(read_config(asked.config))
        channel = Channel(
            id=tx.new_id(), name=asked.name, kind=asked.kind, sealed=self._seal(config),
            wanted=asked.filter or Filter(), created_at=tx.now,
        )  # fmt: skip
        store.add_channel(tx, channel)
        _audit(tx, actor, "channel.created", channel.id, after=audited_view(channel, config))
        return {"id": channel.id}

    def patch(self, tx: Tx, actor: Actor, asked: PatchChannel) -> dict[str, Any]:
        """Return the channel as it is shown. Raises: ChannelNotFound, BadInput."""
        before = store.get_channel(tx.db, asked.id)
        old = self._find_config(before)
        config = old if asked.config is None else self._check(_merged(old, asked.config))
        after = replace(before, name=asked.name or before.name)
        if config is not None and config != old:
            after = replace(after, sealed=self._seal(config))
        if "filter" in asked.model_fields_set:
            after = replace(after, wanted=asked.filter or Filter())
        store.change_channel(tx, after)
        if after.sealed != before.sealed:
            delivering.retry_now(tx, after.id)
        _audit(tx, actor, "channel.changed", after.id,
               before=audited_view(before, old), after=audited_view(after, config))  # fmt: skip
        return self._view(tx, actor, store.get_channel(tx.db, after.id))

    def delete(self, tx: Tx, actor: Actor, asked: OfChannel) -> dict[str, Any]:
        """What has not been sent yet is dropped. Raises: ChannelNotFound."""
        channel = store.get_channel(tx.db, asked.id)
        before = audited_view(channel, self._find_config(channel))
        dropped = delivering.drop_all(tx, channel.id)
        store.remove_channel(tx, channel.id)
        _audit(tx, actor, "channel.deleted", channel.id, before=before, after={"dropped": dropped})
        return {}

    def list_all(self, tx: Tx, actor: Actor, _asked: NoArguments) -> list[dict[str, Any]]:
        return [self._view(tx, actor, channel) for channel in store.list_channels(tx.db)]

    def get(self, tx: Tx, actor: Actor, asked: OfChannel) -> dict[str, Any]:
        """Raises: ChannelNotFound."""
        return self._view(tx, actor, store.get_channel(tx.db, asked.id))

    def test(self, tx: Tx, actor: Actor, asked: OfChannel) -> dict[str, Any]:
        """Queue a test message: it takes the way of every other. Raises: ChannelNotFound."""
        channel = store.get_channel(tx.db, asked.id)
        new_id = tx.new_id()
        body = message.compose_test(new_id, channel.name)
        delivering.enqueue(tx, NewDelivery(new_id, channel.id, News.TEST, (), body))
        _audit(tx, actor, "channel.tested", channel.id, after={"delivery_id": new_id})
        return {"delivery_id": new_id}

    def deliveries(self, tx: Tx, _actor: Actor, asked: ListDeliveries) -> list[dict[str, Any]]:
        """Newest first. Raises: ChannelNotFound, BadInput."""
        channel = store.get_channel(tx.db, asked.channel_id)
        edge = None if asked.before is None else queue.find(tx.db, asked.before)
        if asked.before is not None and (edge is None or edge.channel_id != channel.id):
            raise BadInput("before names no delivery of this channel")
        found = queue.latest(tx.db, channel.id, asked.limit, edge.place if edge else None)
        return [delivery_view(row) for row in found]

    def _check(self, config: WebhookConfig) -> WebhookConfig:
        """An address given as a number is judged at once; a name on every connect."""
        address = find_address(httpx.URL(config.url).host)
        if address is not None and not is_allowed(address, self._allowed):
            raise BadInput(f"config.url: {explain_refusal(address)}")
        return config

    def _seal(self, config: WebhookConfig) -> str:
        return self._vault.seal(config.model_dump_json().encode()).decode()

    def _find_config(self, channel: Channel) -> WebhookConfig | None:
        """None if the key file is another one by now: the channel can still be changed."""
        try:
            return open_config(self._vault, channel.sealed)
        except SecretUnreadable:
            return None

    def _view(self, tx: Tx, actor: Actor, channel: Channel) -> dict[str, Any]:
        return channel_view(tx, channel, self._find_config(channel), actor.role)


def verbs(vault: Vault, allowed: Sequence[Network]) -> dict[str, Verb]:
    """Return the table verb → handler, with the role that each needs."""
    handlers = ChannelVerbs(vault, allowed)
    return {
        "create_channel": Verb(handlers.create, CreateChannel, "admin"),
        "patch_channel": Verb(handlers.patch, PatchChannel, "admin"),
        "delete_channel": Verb(handlers.delete, OfChannel, "admin"),
        "test_channel": Verb(handlers.test, OfChannel, "admin"),
        "list_channels": Verb(handlers.list_all, NoArguments),
        "get_channel": Verb(handlers.get, OfChannel),
        "deliveries": Verb(handlers.deliveries, ListDeliveries),
    }


def check_kind(kind: str) -> None:
    """Raises: UnknownKind."""
    if kind != WEBHOOK:
        later = ", ".join(LATER_KINDS)
        raise UnknownKind(f"no channel of kind {kind[:32]!r}: use webhook ({later} are to come)")


def read_config(given: dict[str, Any]) -> WebhookConfig:
    """Raises: BadInput with what to change, never with the value (it may be secret)."""
    try:
        return WebhookConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(("config", *(str(part) for part in first["loc"])))
        raise BadInput(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def open_config(vault: Vault, sealed: str) -> WebhookConfig:
    """Raises: SecretUnreadable."""
    return WebhookConfig.model_validate_json(vault.open(sealed.encode()))


def _merged(old: WebhookConfig | None, changes: dict[str, Any]) -> WebhookConfig:
    kept = {} if old is None else old.model_dump()
    return read_config({**kept, **changes})


def _audit(
    tx: Tx, actor: Actor, action: str, channel_id: str, *,
    before: dict[str, Any] | None = None, after: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    tx.emit(Audit(service="notify", target=channel_id, action=action, actor=actor, at=tx.now,
                  before=before, after=after))  # fmt: skip
