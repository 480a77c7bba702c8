"""Tells of many alerts that were raised together, as telling.py does of one.

A storm is mostly plain: alerts of single hosts, new here, on channels that are told at once. What
is not is told one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.events.alert import Alert
from libs.common.loop.tx import Tx
from services.notify import delivering, policy, queue_many, store, store_many
from services.notify.policy import Concerned, News, Verdict
from services.notify.queue import NewDelivery
from services.notify.store import Channel, Host
from services.notify.telling import Heard, Teller, explain, unless_unsaid


def learn_raised(tx: Tx, teller: Teller, alerts: Sequence[Alert]) -> None:
    """Keep plain alerts (`policy.is_plain`) that are new here, and tell of them."""
    known = store_many.known_among(tx, (alert.id for alert in alerts))
    fresh: dict[str, Alert] = {}
    for alert in alerts:
        if alert.id not in known:
            fresh.setdefault(alert.id, alert)
    store_many.save_new(tx, fresh.values())
    _tell(tx, teller, list(fresh.values()))


def _tell(tx: Tx, teller: Teller, alerts: Sequence[Alert]) -> None:
    channels = store.list_channels(tx.db)
    paced = any(channel.quiet or channel.rate for channel in channels)
    apart = queue_many.known_among(tx, (alert.id for alert in alerts))
    hosts = store_many.hosts_of(tx, alerts)
    messages: list[NewDelivery] = []
    for alert in alerts:
        if paced or alert.id in apart:
            teller.tell(tx, News.RAISED, alert)
        else:
            messages += _tell_first(tx, teller, channels, alert, hosts[alert.host_id])
    delivering.enqueue_first(tx, messages)


def _tell_first(
    tx: Tx, teller: Teller, channels: Sequence[Channel], alert: Alert, host: Host
) -> list[NewDelivery]:
    """Decide who is told of an alert of which nobody was; return the messages."""
    about = [Concerned(alert.host_id or "", host.tags)]
    heard = [Heard(channel, _assess(channel, alert, about)) for channel in channels]
    explain(tx, News.RAISED, alert, heard)
    named = alert if alert.host_name else alert.model_copy(update={"host_name": host.name})
    told = [one.channel for one in heard if one.verdict is Verdict.TOLD]
    return [teller.message(channel, News.RAISED, alert, named) for channel in told]


def _assess(channel: Channel, alert: Alert, about: Sequence[Concerned]) -> Verdict:
    verdict = policy.assess_news(alert, about, channel.wanted)
    return unless_unsaid(channel, News.RAISED, verdict)
