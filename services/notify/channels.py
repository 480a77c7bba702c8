"""The verbs on channels: make, change, delete, show, test. Secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from libs.common.errors import BadInput
from libs.common.events.host import Actor, Audit
from libs.common.loop.machine import Verb
from libs.common.loop.tx import Tx
from libs.common.security import Vault
from services.notify import delivering, message, pacing, queue, repeating, store
from services.notify.configs import changed_config, find_config, judge_target, read_config, seal
from services.notify.kinds.base import ChannelConfig
from services.notify.kinds.table import kind_of
from services.notify.policy import Filter, News
from services.notify.policy_pace import QuietHours, RateLimit
from services.notify.queue import NewDelivery
from services.notify.store import Channel
from services.notify.target_rules import Network
from services.notify.views import audited_view, channel_view, delivery_view

DELETED = "channel_deleted"
"""The signal that a channel, named by its id, is gone."""


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
    quiet_hours: QuietHours | None = None
    rate_limit: RateLimit | None = None

    _name = field_validator("name")(_clean_name)


class PatchChannel(Arguments):
    """What is absent stays. `config` changes the keys that it has; another null removes what is
    meant: the filter, the quiet hours, the rate limit."""

    id: str
    name: str | None = None
    config: dict[str, Any] | None = None
    filter: Filter | None = None
    quiet_hours: QuietHours | None = None
    rate_limit: RateLimit | None = None

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
        config = read_config(asked.kind, asked.config)
        judge_target(config, self._allowed)
        channel = Channel(
            id=tx.new_id(), name=asked.name, kind=asked.kind, sealed=seal(self._vault, config),
            wanted=asked.filter or Filter(), quiet=asked.quiet_hours, rate=asked.rate_limit,
            created_at=tx.now,
        )  # fmt: skip
        _check_pace(channel)
        store.add_channel(tx, channel)
        _audit(tx, actor, "channel.created", channel.id, after=audited_view(channel, config))
        return {"id": channel.id}

    def patch(self, tx: Tx, actor: Actor, asked: PatchChannel) -> dict[str, Any]:
        """Return the channel as it is shown. Raises: ChannelNotFound, BadInput."""
        before = store.get_channel(tx.db, asked.id)
        old = self._find_config(before)
        config = old
        if asked.config is not None:
            config = changed_config(before.kind, old, asked.config)
            judge_target(config, self._allowed)
        after = replace(before, name=asked.name or before.name, **_new_wishes(asked))
        if config is not None and config != old:
            after = replace(after, sealed=seal(self._vault, config))
        _check_pace(after)
        store.change_channel(tx, after)
        if after.sealed != before.sealed:
            delivering.retry_now(tx, after.id)
        if (after.quiet, after.rate) != (before.quiet, before.rate):
            pacing.look_again(tx, after.id)
        _audit(tx, actor, "channel.changed", after.id,
               before=audited_view(before, old), after=audited_view(after, config))  # fmt: skip
        return self._view(tx, actor, store.get_channel(tx.db, after.id))

    def delete(self, tx: Tx, actor: Actor, asked: OfChannel) -> dict[str, Any]:
        """What has not been sent yet is dropped. Raises: ChannelNotFound."""
        channel = store.get_channel(tx.db, asked.id)
        before = audited_view(channel, self._find_config(channel))
        dropped = delivering.drop_all(tx, channel.id) + pacing.forget(tx, channel.id)
        repeating.end(tx, channel.id)
        store.remove_channel(tx, channel.id)
        _audit(tx, actor, "channel.deleted", channel.id, before=before, after={"dropped": dropped})
        tx.signal(DELETED, channel.id)
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

    def _find_config(self, channel: Channel) -> ChannelConfig | None:
        return find_config(self._vault, channel)

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


def _new_wishes(asked: PatchChannel) -> dict[str, Any]:
    """Return what of filter, quiet hours and rate is to change; null takes it away."""
    given = asked.model_fields_set
    wishes: dict[str, Any] = {}
    if "filter" in given:
        wishes["wanted"] = asked.filter or Filter()
    if "quiet_hours" in given:
        wishes["quiet"] = asked.quiet_hours
    if "rate_limit" in given:
        wishes["rate"] = asked.rate_limit
    return wishes


def _check_pace(channel: Channel) -> None:
    """Raises: BadInput."""
    paced = channel.quiet is not None or channel.rate is not None
    if paced and kind_of(channel.kind).paces_itself:
        raise BadInput(
            f"{channel.kind} has quiet times and grouping of its own: set them there, not here"
        )


def _audit(
    tx: Tx, actor: Actor, action: str, channel_id: str, *,
    before: dict[str, Any] | None = None, after: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    tx.emit(Audit(service="notify", target=channel_id, action=action, actor=actor, at=tx.now,
                  before=before, after=after))  # fmt: skip
