"""Which channels hear of an alert, with the message for each and the decision that explains it."""

from __future__ import annotations

from collections.abc import Collection

from libs.common.events.alert import Alert
from libs.common.loop.tx import Tx
from services.notify import delivering, message, policy, queue, store
from services.notify.policy import LISTED_IN_SUMMARY, News, Verdict
from services.notify.queue import NewDelivery
from services.notify.store import Channel

Verdicts = list[tuple[Channel, Verdict]]


class Teller:
    """Queues messages. `public_url` is where their links lead."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def tell(self, tx: Tx, news: News, alert: Alert) -> None:
        """Tell every channel that wants it, and was not told yet, that the alert is open."""
        host = store.host_of(tx, alert.host_id)
        verdicts: Verdicts = []
        for channel in store.list_channels(tx.db):
            verdict = policy.assess_news(alert, host.tags, channel.wanted)
            if verdict is Verdict.TOLD and news is News.RAISED and _was_told(tx, channel, alert):
                verdict = Verdict.TOLD_BEFORE
            verdicts.append((channel, verdict))
            if verdict is Verdict.TOLD:
                self._queue(tx, channel, news, alert)
        _explain(tx, news, alert, verdicts)

    def follow_up(self, tx: Tx, news: News, alert: Alert) -> None:
        """Tell every channel that was told of the alert how it goes on."""
        verdicts: Verdicts = []
        for channel in store.list_channels(tx.db):
            told = queue.is_told(tx, channel.id, alert.id)
            verdicts.append((channel, Verdict.TOLD if told else Verdict.NOT_TOLD_BEFORE))
            if told:
                self._queue(tx, channel, news, alert)
        _explain(tx, news, alert, verdicts)

    def _queue(self, tx: Tx, channel: Channel, news: News, alert: Alert) -> None:
        new_id = policy.delivery_id(channel.id, news, alert)
        body = message.compose(new_id, news, _named(tx, alert), self._public_url)
        delivering.enqueue(tx, NewDelivery(new_id, channel.id, news, (alert.id,), body))

    # -- the end of a mass outage ------------------------------------------------------------------

    def release(self, tx: Tx, outage: Alert, still_away: Collection[str]) -> None:
        """Send the one message that ends the outage on each channel.

        Nobody is away: `resolved`. Else a `summary` of the hosts still away; where none of them may
        be listed, it goes to the channels that were told of the outage, and says it in words.
        """
        freed = store.release_held(tx, outage.id)
        away = [_named(tx, alert) for alert in freed if alert.host_id in set(still_away)]
        named: set[str] = set()
        verdicts: Verdicts = []
        for channel in store.list_channels(tx.db):
            wanted = [alert for alert in away if _wants(tx, channel, alert)]
            told = queue.is_told(tx, channel.id, outage.id)
            heard = Verdict.TOLD if wanted or told else Verdict.NOT_TOLD_BEFORE
            verdicts.append((channel, heard))
            named.update(alert.id for alert in wanted[:LISTED_IN_SUMMARY])
            if wanted:
                self._queue_summary(tx, channel, outage, wanted)
            elif told:
                self._queue_outage_over(tx, channel, outage, still_away)
        _explain(tx, News.SUMMARY if still_away else News.RESOLVED, outage, verdicts)
        _explain_released(tx, freed, named)

    def _queue_summary(self, tx: Tx, channel: Channel, outage: Alert, away: list[Alert]) -> None:
        """Only the hosts that the message names get a recovery notice of their own."""
        new_id = policy.delivery_id(channel.id, News.SUMMARY, outage)
        body = message.compose_release(new_id, outage, away, self._public_url)
        about = (outage.id, *(alert.id for alert in away[:LISTED_IN_SUMMARY]))
        delivering.enqueue(tx, NewDelivery(new_id, channel.id, News.SUMMARY, about, body))

    def _queue_outage_over(
        self, tx: Tx, channel: Channel, outage: Alert, still_away: Collection[str]
    ) -> None:
        news = News.SUMMARY if still_away else News.RESOLVED
        new_id = policy.delivery_id(channel.id, news, outage)
        names = store.names_of(tx, still_away)
        body = message.compose_outage_over(new_id, news, outage, names, self._public_url)
        delivering.enqueue(tx, NewDelivery(new_id, channel.id, news, (outage.id,), body))


def _wants(tx: Tx, channel: Channel, alert: Alert) -> bool:
    tags = store.host_of(tx, alert.host_id).tags
    return policy.assess_news(alert, tags, channel.wanted) is Verdict.TOLD


def _was_told(tx: Tx, channel: Channel, alert: Alert) -> bool:
    """A raise is told once: it may have been before a silence, or in an outage's summary."""
    new_id = policy.delivery_id(channel.id, News.RAISED, alert)
    return queue.is_told(tx, channel.id, alert.id) or queue.find(tx.db, new_id) is not None


def _named(tx: Tx, alert: Alert) -> Alert:
    """Return the alert with its host's name, if it came without."""
    if alert.host_name:
        return alert
    return alert.model_copy(update={"host_name": store.host_of(tx, alert.host_id).name})


def _explain(tx: Tx, news: News, alert: Alert, verdicts: Verdicts) -> None:
    """Leave the decision who was told and why the others were not (R19)."""
    told = [channel.name for channel, verdict in verdicts if verdict is Verdict.TOLD]
    held = any(verdict in (Verdict.HELD, Verdict.SILENCED) for _, verdict in verdicts)
    what = "notified" if told else "held_back" if held else "not_notified"
    to_whom = f"to {', '.join(told)}" if told else _why_nobody(verdicts)
    tx.decide(
        alert.host_id or "fleet", what, f"{alert.kind} {news}: {to_whom}",
        alert_id=alert.id, event=news.value, held_by=alert.held_by,
        channels={channel.id: verdict.value for channel, verdict in verdicts},
    )  # fmt: skip


def _why_nobody(verdicts: Verdicts) -> str:
    if not verdicts:
        return "to nobody, there is no channel"
    reasons = sorted({verdict.value for _, verdict in verdicts})
    return f"to nobody ({'; '.join(reasons)})"


def _explain_released(tx: Tx, freed: list[Alert], named: Collection[str]) -> None:
    for alert in freed:
        if alert.id in named:
            text = "still away when the mass outage ended: named in its summary"
        elif alert.silenced:
            text = "the mass outage is over; silenced: told when no silence covers it, if it holds"
        else:
            text = "not named when the mass outage ended: nobody is told of it or of its end"
        tx.decide(alert.host_id or "fleet", "released", text, alert_id=alert.id)
