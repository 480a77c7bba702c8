"""Which channels hear of an alert, with the message for each and the decision that explains it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from libs.common.events.alert import Alert, AlertState
from libs.common.loop.tx import Tx
from services.notify import delivering, message, pacing, policy, queue, store
from services.notify.kinds.table import kind_of
from services.notify.policy import LISTED_IN_SUMMARY, Concerned, News, Verdict
from services.notify.policy_pace import Held, Hold
from services.notify.queue import NewDelivery
from services.notify.store import Channel


@dataclass(frozen=True, slots=True)
class Heard:
    """Whether a channel hears of something, and why. `held`: later, in a digest."""

    channel: Channel
    verdict: Verdict
    held: Held | None = None


class Teller:
    """Queues messages. `public_url` is where their links lead."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def tell(self, tx: Tx, news: News, alert: Alert) -> None:
        """Tell every channel that wants it, and was not told yet, that the alert is open."""
        about = store.hosts_of(tx, alert)
        channels = store.list_channels(tx.db)
        heard = [self._tell_one(tx, channel, news, alert, about) for channel in channels]
        explain(tx, news, alert, heard)
        if alert.held_by is not None:
            self._tell_of_outage(tx, alert.held_by, about)

    def _tell_one(
        self, tx: Tx, channel: Channel, news: News, alert: Alert, about: list[Concerned]
    ) -> Heard:
        verdict = policy.assess_news(alert, about, channel.wanted)
        if verdict is Verdict.TOLD and news is News.RAISED and _was_told(tx, channel, alert):
            verdict = Verdict.TOLD_BEFORE
        return self._let_hear(tx, channel, news, alert, verdict)

    def _tell_of_outage(self, tx: Tx, outage_id: str, taken: list[Concerned]) -> None:
        """A mass outage took a host: a channel that hears of that host, and of none before, does
        hear of the outage now."""
        choosy = [one for one in store.list_channels(tx.db) if one.wanted.asks_for_hosts]
        outage = store.find_alert(tx, outage_id) if choosy else None
        if outage is None or outage.state is AlertState.RESOLVED:
            return
        heard = [self._tell_one(tx, channel, News.RAISED, outage, taken) for channel in choosy]
        if any(one.verdict in (Verdict.TOLD, Verdict.PACED) for one in heard):
            explain(tx, News.RAISED, outage, heard)

    def follow_up(self, tx: Tx, news: News, alert: Alert) -> None:
        """Tell every channel that was told of the alert, or will be, how it goes on."""
        heard = []
        for channel in store.list_channels(tx.db):
            told = queue.is_told(tx, channel.id, alert.id)
            told = told or pacing.is_held(tx, channel.id, alert.id)
            verdict = Verdict.TOLD if told else Verdict.NOT_TOLD_BEFORE
            heard.append(self._let_hear(tx, channel, news, alert, verdict))
        explain(tx, news, alert, heard)

    def _let_hear(
        self, tx: Tx, channel: Channel, news: News, alert: Alert, verdict: Verdict
    ) -> Heard:
        """Queue the message if the verdict is so, and neither kind nor pace are against it."""
        verdict = unless_unsaid(channel, news, verdict)
        if verdict is not Verdict.TOLD:
            return Heard(channel, verdict)
        held = pacing.hold(tx, channel, alert)
        if held is not None:
            return Heard(channel, Verdict.PACED, held)
        self._queue(tx, channel, news, alert)
        return Heard(channel, Verdict.TOLD)

    def _queue(self, tx: Tx, channel: Channel, news: News, alert: Alert) -> None:
        delivering.enqueue(tx, self.message(channel, news, alert, store.named(tx, alert)))

    def message(self, channel: Channel, news: News, alert: Alert, named: Alert) -> NewDelivery:
        """Compose the message about an alert; `named`: the same with its host's name."""
        new_id = policy.delivery_id(channel.id, news, alert)
        body = message.compose(new_id, news, named, self._public_url)
        return NewDelivery(new_id, channel.id, news, (alert.id,), body)

    # -- the end of a mass outage ------------------------------------------------------------------

    def release(self, tx: Tx, outage: Alert, still_away: Collection[str]) -> None:
        """Send the one message that ends the outage on each channel.

        Nobody is away: `resolved`. Else a `summary` of the hosts still away; where none of them may
        be listed, it goes to the channels that were told of the outage, and says it in words. A
        channel for some hosts hears of those only.
        """
        freed = store.release_held(tx, outage.id)
        away = [store.named(tx, alert) for alert in freed if alert.host_id in set(still_away)]
        named: set[str] = set()
        heard = []
        for channel in store.list_channels(tx.db):
            wanted = [alert for alert in away if _wants(tx, channel, alert)]
            heard.append(self._release_on(tx, channel, outage, wanted, still_away))
            named.update(alert.id for alert in wanted[:LISTED_IN_SUMMARY])
        explain(tx, News.SUMMARY if still_away else News.RESOLVED, outage, heard)
        _explain_released(tx, freed, named)

    def _release_on(
        self, tx: Tx, channel: Channel, outage: Alert, wanted: list[Alert],
        still_away: Collection[str],
    ) -> Heard:  # fmt: skip
        told = queue.is_told(tx, channel.id, outage.id) or pacing.is_held(tx, channel.id, outage.id)
        if not wanted and not told:
            return Heard(channel, Verdict.NOT_TOLD_BEFORE)
        if News.SUMMARY in kind_of(channel.kind).unsaid:
            self._release_singly(tx, channel, outage if told else None, wanted)
            return Heard(channel, Verdict.TOLD)
        held = pacing.hold(tx, channel, outage)
        if held is not None:
            for alert in wanted:
                pacing.keep(tx, channel, alert, held)
            return Heard(channel, Verdict.PACED, held)
        if wanted:
            self._queue_summary(tx, channel, outage, wanted)
        else:
            self._queue_outage_over(tx, channel, outage, _of_theirs(tx, channel, still_away))
        return Heard(channel, Verdict.TOLD)

    def _release_singly(
        self, tx: Tx, channel: Channel, outage: Alert | None, wanted: list[Alert]
    ) -> None:
        """A receiver of states is told of each alert by itself, and that the outage has ended."""
        for alert in wanted:
            self._queue(tx, channel, News.RAISED, alert)
        if outage is not None:
            self._queue(tx, channel, News.RESOLVED, outage)

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


def unless_unsaid(channel: Channel, news: News, verdict: Verdict) -> Verdict:
    """Return the verdict, or that the channel's kind has no word for what it would be told."""
    unsaid = verdict is Verdict.TOLD and news in kind_of(channel.kind).unsaid
    return Verdict.UNSAID if unsaid else verdict


def _wants(tx: Tx, channel: Channel, alert: Alert) -> bool:
    about = store.hosts_of(tx, alert)
    return policy.assess_news(alert, about, channel.wanted) is Verdict.TOLD


def _of_theirs(tx: Tx, channel: Channel, host_ids: Collection[str]) -> list[str]:
    """Return those of the hosts of which a channel hears."""
    return [
        one.host_id for one in store.concerned(tx, host_ids)
        if policy.assess_hosts([one], channel.wanted) is Verdict.TOLD
    ]  # fmt: skip


def _was_told(tx: Tx, channel: Channel, alert: Alert) -> bool:
    """A raise is told once: it may have been before a silence, or in an outage's summary."""
    return not queue.may_raise(tx, channel.id, alert.id)


def explain(tx: Tx, news: News, alert: Alert, heard: Sequence[Heard]) -> None:
    """Leave the decision who was told and why the others were not (R19)."""
    told = [one.channel.name for one in heard if one.verdict is Verdict.TOLD]
    later = [_later(one.channel, one.held) for one in heard if one.held is not None]
    kept_back = (Verdict.HELD, Verdict.SILENCED, Verdict.PACED)
    held = any(one.verdict in kept_back for one in heard)
    what = "notified" if told else "held_back" if held else "not_notified"
    to_whom = [f"to {', '.join(told)}"] * bool(told) + later or [_why_nobody(heard)]
    tx.decide(
        alert.host_id or "fleet", what, f"{alert.kind.words} {news}: {'; '.join(to_whom)}",
        alert_id=alert.id, event=news.value, held_by=alert.held_by,
        channels={one.channel.id: _why(one) for one in heard},
    )  # fmt: skip


def _why(heard: Heard) -> str:
    return heard.verdict.value if heard.held is None else heard.held.why.value


def _later(channel: Channel, held: Held) -> str:
    """`held for quiet hours until 07:00 Europe/Berlin: night`."""
    zone = channel.quiet.timezone if held.why is Hold.QUIET and channel.quiet else "UTC"
    clock = held.until.astimezone(ZoneInfo(zone)).strftime("%H:%M")
    return f"{held.why.value} until {clock} {zone}: {channel.name}"


def _why_nobody(heard: Sequence[Heard]) -> str:
    if not heard:
        return "to nobody, there is no channel"
    reasons = sorted({one.verdict.value for one in heard})
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
