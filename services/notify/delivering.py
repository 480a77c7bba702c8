"""The life of a delivery inside the transaction: queued, sent, tried again, ended.

Each function leaves the queue consistent. At the end of a step, what is free to go is handed to the
shell, at most WINDOW_PER_CHANNEL of a channel at once, oldest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from libs.common.events.alert import NotificationDelivered, NotificationEvent, NotificationFailed
from libs.common.loop.step import Ended
from libs.common.loop.tx import Tx
from services.notify import policy, queue, queue_many, repeating, store
from services.notify.policy import FOLLOW_UPS, WINDOW_PER_CHANNEL, Ending
from services.notify.queue import Delivery, NewDelivery, State

SEND = "send"
RETRY = "retry"


def enqueue(tx: Tx, new: NewDelivery) -> None:
    """Write a message down and send it as soon as its turn comes; a known one is left alone."""
    delivery = queue.add(tx, new)
    if delivery is None:
        return
    if queue.is_blocked(tx, delivery.place):
        queue.set_state(tx, delivery.id, State.BLOCKED)
    else:
        hand_out(tx, delivery.channel_id)


def enqueue_first(tx: Tx, messages: Sequence[NewDelivery]) -> None:
    """The same for many, each the first that is said about its alerts on its channel."""
    queue_many.add_first(tx, messages)
    for channel_id in dict.fromkeys(new.channel_id for new in messages):
        hand_out(tx, channel_id)


def hand_out(tx: Tx, channel_id: str) -> None:
    """Have what is ready on the channel handed to the shell once this step is done."""
    tx.before_commit(_hand_out, channel_id)


def _hand_out(tx: Tx, channel_id: str) -> None:
    """Hand out as much as the channel's window allows.

    The payload names the delivery only: the shell reads address and secret itself, sealed.
    """
    room = WINDOW_PER_CHANNEL - queue.count_sending(tx, channel_id)
    begun = queue.begin_tries(tx, channel_id, max(room, 0))
    if begun:
        tx.start_effects(SEND, [(one, {"channel_id": channel_id, "try": n}) for one, n in begun])


def on_sent(tx: Tx, delivery_id: str, _payload: dict[str, Any], outcome: dict[str, Any]) -> None:
    """A try has ended: {status, taken, error, retry_after (seconds), refused}."""
    delivery = queue.find_open(tx.db, delivery_id)
    if delivery is None:
        return
    result = policy.read_outcome(outcome)
    started = delivery.first_tried_at or tx.now
    ending = policy.assess_try(result, first_tried_at=started, now=tx.now)
    if ending is Ending.DELIVERED:
        if result.error is not None:
            store.note_error(tx, delivery.channel_id, result.error)  # Of a part of the receivers.
        _deliver(tx, [replace(delivery, status=result.status, error=result.error)])
    else:
        error = policy.explain_failure(result, ending)
        tried = replace(delivery, status=result.status, error=error)
        store.note_error(tx, delivery.channel_id, error)
        if ending is Ending.TRY_AGAIN:
            _try_later(tx, tried, result.retry_after)
        else:
            _fail(tx, tried, ending, error)
    hand_out(tx, delivery.channel_id)


def on_sent_many(tx: Tx, ended: Sequence[Ended]) -> None:
    """The same for many tries: those that simply worked are written down together."""
    found = queue_many.find_open(tx.db, (one.effect.key for one in ended))
    worked = []
    for one in ended:
        delivery, result = found.get(one.effect.key), policy.read_outcome(one.outcome)
        if delivery is not None and policy.simply_worked(result):
            worked.append(replace(delivery, status=result.status, error=None))
        else:
            on_sent(tx, one.effect.key, one.effect.payload, one.outcome)
    _deliver(tx, worked)
    for channel_id in dict.fromkeys(one.channel_id for one in worked):
        hand_out(tx, channel_id)


def _deliver(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    finish(tx, deliveries, State.DELIVERED)
    names = {one: _name_of(tx, one) for one in {of.channel_id for of in deliveries}}
    for one in deliveries:
        tx.emit(NotificationDelivered(**_facts(tx, one, names[one.channel_id])))


def on_retry(tx: Tx, delivery_id: str, _due_at: datetime) -> None:
    """The wait after a failed try is over, unless `retry_now` has ended it already."""
    delivery = queue.find(tx.db, delivery_id)
    if delivery is not None and delivery.state is State.WAITING:
        queue.set_state(tx, delivery_id, State.READY)
        hand_out(tx, delivery.channel_id)


def retry_now(tx: Tx, channel_id: str) -> None:
    """Try what waits again at once: the channel's address or secret has changed."""
    for delivery in queue.waiting(tx, channel_id):
        queue.set_state(tx, delivery.id, State.READY)
    hand_out(tx, channel_id)


def on_end_in_log(tx: Tx, event: NotificationEvent) -> None:
    """The log knows an end that our file does not (it was restored): don't send it again."""
    delivery = queue.find_open(tx.db, event.delivery_id)
    if delivery is None:
        return
    _let_go(tx, delivery.id)
    if isinstance(event, NotificationFailed):
        store.note_failed(tx, delivery.channel_id)
        finish(tx, [replace(delivery, status=None, error=event.error)], State.FAILED)
    else:
        finish(tx, [delivery], State.DELIVERED)
    hand_out(tx, delivery.channel_id)


def finish(tx: Tx, deliveries: Sequence[Delivery], state: State) -> None:
    """End deliveries and let go what waited behind them.

    A follow-up of an alert that this channel was never told of is dropped instead.
    """
    _end(tx, deliveries, state)
    ended = deliveries
    while ended:
        dropped = []
        for later in queue_many.blocked_behind(tx, (one.place for one in ended)):
            if queue.is_blocked(tx, later.place):
                continue
            if later.news in FOLLOW_UPS and not _is_any_told(tx, later):
                _end(tx, [later], State.DROPPED)
                dropped.append(later)
            else:
                queue.set_state(tx, later.id, State.READY)
        ended = dropped


def drop_all(tx: Tx, channel_id: str) -> int:
    """End everything of a channel that is deleted; return how many messages were dropped."""
    dropped = queue.unended(tx, channel_id)
    for delivery_id in dropped:
        _let_go(tx, delivery_id)
        queue.drop(tx, delivery_id)
    return len(dropped)


def _try_later(tx: Tx, delivery: Delivery, retry_after: timedelta | None) -> None:
    at = policy.next_try(
        delivery.id, delivery.tries, retry_after=retry_after,
        first_tried_at=delivery.first_tried_at or tx.now, now=tx.now,
    )  # fmt: skip
    queue.wait_until(tx, delivery, at)
    tx.schedule(RETRY, delivery.id, at)


def _fail(tx: Tx, delivery: Delivery, ending: Ending, error: str) -> None:
    finish(tx, [delivery], State.FAILED)
    store.note_failed(tx, delivery.channel_id)
    name = _name_of(tx, delivery.channel_id)
    tx.emit(NotificationFailed(**_facts(tx, delivery, name), error=error))
    tx.decide(
        _host_of(tx, delivery), "notification_failed",
        f"{delivery.news} was not delivered to {name}: {error}",
        delivery_id=delivery.id, channel_id=delivery.channel_id, why=ending.value,
        alert_ids=delivery.alert_ids, tries=delivery.tries,
    )  # fmt: skip


def _facts(tx: Tx, delivery: Delivery, channel_name: str) -> dict[str, Any]:
    return {
        "channel_id": delivery.channel_id,
        "channel_name": channel_name,
        "delivery_id": delivery.id,
        "event": delivery.news.value,
        "alert_ids": delivery.alert_ids,
        "tries": delivery.tries,
        "at": tx.now,
    }


def _end(tx: Tx, deliveries: Sequence[Delivery], state: State) -> None:
    queue_many.end(tx, deliveries, state)
    for one in deliveries:
        if state is State.DELIVERED:
            tx.before_commit(store.note_delivered, one.channel_id)
            tx.before_commit(repeating.begin, one.channel_id)
        elif state is State.DROPPED:
            tx.decide(
                _host_of(tx, one), "notification_dropped",
                f"{one.news} is not sent to {_name_of(tx, one.channel_id)}: it was never told of "
                "the alert", delivery_id=one.id, alert_ids=one.alert_ids,
            )  # fmt: skip


def _let_go(tx: Tx, delivery_id: str) -> None:
    tx.drop_effect(SEND, delivery_id)
    tx.unschedule(RETRY, delivery_id)


def _is_any_told(tx: Tx, delivery: Delivery) -> bool:
    return any(queue.is_told(tx, delivery.channel_id, alert) for alert in delivery.alert_ids)


def _name_of(tx: Tx, channel_id: str) -> str:
    return store.name_and_kind(tx.db, channel_id)[0]


def _host_of(tx: Tx, delivery: Delivery) -> str:
    first = delivery.alert_ids[0] if delivery.alert_ids else None
    alert = store.find_alert(tx, first) if first else None
    return (alert.host_id if alert else None) or "fleet"
