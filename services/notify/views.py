"""How channels and deliveries are shown. No secret gets in here but to be left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.common.loop.machine import Role
from libs.common.loop.tx import Tx
from services.notify import pacing, queue
from services.notify.kinds.base import ChannelConfig
from services.notify.queue import Delivery, State
from services.notify.store import Channel

_QUEUED = frozenset({State.BLOCKED, State.READY})


def channel_view(
    tx: Tx, channel: Channel, config: ChannelConfig | None, role: Role
) -> dict[str, Any]:
    """Return a channel with how it is doing; `config` None: it cannot be opened with our key.

    Many an address is itself the secret that lets one post there: only admins see the whole (R20).
    `in_trouble`: the last try did not work. `last_failed_at`: a message was given up.
    """
    whole = role == "admin"
    where = None
    if config is not None:
        where = config.where if whole else f"{config.site.rstrip('/')}/…"
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "where": where,
        "config": None if config is None else config.shown(whole=whole),
        "filter": _filter_view(channel),
        "quiet_hours": None if channel.quiet is None else channel.quiet.body(),
        "rate_limit": None if channel.rate is None else channel.rate.model_dump(),
        "waiting_for_digest": pacing.count_held(tx, channel.id),
        "created_at": channel.created_at,
        "pending": queue.count_pending(tx.db, channel.id),
        "last_delivered_at": channel.last_delivered_at,
        "last_failed_at": channel.last_failed_at,
        "last_error_at": channel.last_error_at,
        "last_error": channel.last_error,
        "in_trouble": _is_later(channel.last_error_at, channel.last_delivered_at),
    }


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery; what is blocked and what is ready are both just queued."""
    return {
        "id": delivery.id,
        "event": delivery.news.value,
        "alert_ids": delivery.alert_ids,
        "state": "queued" if delivery.state in _QUEUED else delivery.state.value,
        "tries": delivery.tries,
        "created_at": delivery.created_at,
        "next_try_at": delivery.next_try_at,
        "ended_at": delivery.ended_at,
        "status": delivery.status,
        "error": delivery.error,
    }


def audited_view(channel: Channel, config: ChannelConfig | None) -> dict[str, Any]:
    """Return what the audit may know: of the address only the site, as a path may be secret."""
    return {
        "name": channel.name,
        "kind": channel.kind,
        "site": None if config is None else config.site,
        "has_secret": config is not None and config.has_secret,
        "filter": _filter_view(channel),
        "quiet_hours": None if channel.quiet is None else channel.quiet.body(),
        "rate_limit": None if channel.rate is None else channel.rate.model_dump(),
    }


def _filter_view(channel: Channel) -> dict[str, Any] | None:
    return channel.wanted.model_dump(mode="json", exclude_none=True) or None


def _is_later(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and (second is None or first > second)
