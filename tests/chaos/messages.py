"""What people were told, counted at the receiver."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from libs.common.events.alert import AlertKind, AlertRaised, AlertResolved
from libs.common.events.base import Envelope
from tests.chaos.receiver import Told


def judge_messages(
    told: Sequence[Told], disturbed: Sequence[int], events: Iterable[Envelope]
) -> list[str]:
    """Return what is wrong with the messages. `disturbed`: see Receiver."""
    raised = {one.event.alert.id: one.event for one in events if isinstance(one.event, AlertRaised)}
    found = [*_two_ids(told), *_untold(told, raised), *_unknown(told, raised)]
    return [*found, *_repeats(told, disturbed), *_disorder(told)]


def _news(one: Told) -> Iterator[tuple[str, str]]:
    """Return (alert id, event) of what a message tells; a summary tells of many."""
    body = one.request.json
    for alert in body["alerts"]:
        yield alert["id"], body["event"]


def _two_ids(told: Sequence[Told]) -> Iterator[str]:
    """Nobody is told of the same under two different Dormice-Ids."""
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in told:
        for news in _news(one):
            ids[news].add(one.request.delivery_id)
    for news, different in ids.items():
        if len(different) > 1:
            yield f"R7: {news} was told as {sorted(different)}"


def _untold(told: Sequence[Told], raised: dict[str, AlertRaised]) -> Iterator[str]:
    """Every raise that no mass outage held back reached the receiver."""
    heard = {news for one in told if one.taken for news in _news(one)}
    for alert_id, event in raised.items():
        if event.alert.held_by is None and (alert_id, "raised") not in heard:
            yield f"nobody was told of {event.alert}"


def _unknown(told: Sequence[Told], raised: dict[str, AlertRaised]) -> Iterator[str]:
    for one in told:
        for alert_id, event in _news(one):
            if alert_id not in raised:
                yield f"{event} of {alert_id} was told, and no such alert was ever raised"


def _repeats(told: Sequence[Told], disturbed: Sequence[int]) -> Iterator[str]:
    """A delivery that was taken comes again at most once per kill while it was in flight."""
    taken: dict[str, list[int]] = defaultdict(list)
    for one in told:
        if one.taken:
            taken[one.request.delivery_id].append(one.place)
    for delivery, places in taken.items():
        allowed = sum(places[0] < at <= places[-1] for at in disturbed)
        if len(places) - 1 > allowed:
            yield f"{delivery} was taken {len(places)} times over {allowed} kills: {places}"


def _disorder(told: Sequence[Told]) -> Iterator[str]:
    """An alert's end is never told before its beginning."""
    begun: set[str] = set()
    for one in told:
        for alert_id, event in _news(one):
            if event in ("raised", "summary"):
                begun.add(alert_id)
            elif alert_id not in begun:
                yield f"{event} of {alert_id} was told before it was raised"


def count_repeats(told: Sequence[Told]) -> int:
    """Return how many deliveries were taken more than once."""
    taken = [one.request.delivery_id for one in told if one.taken]
    return len(taken) - len(set(taken))


def untold_ends(told: Sequence[Told], events: Iterable[Envelope]) -> list[str]:
    """Return the ends of alerts that were told of and whose end was not."""
    heard = {news for one in told if one.taken for news in _news(one)}
    return [
        f"{one.event.alert.id} was told, its end was not"
        for one in events
        if isinstance(one.event, AlertResolved) and (one.event.alert.id, "raised") in heard
        and (one.event.alert.id, "resolved") not in heard
        and one.event.alert.kind is not AlertKind.FLEET_OUTAGE
    ]  # fmt: skip
