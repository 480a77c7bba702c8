"""What a channel is told later, in one digest: held for quiet hours, or as there was too much.

    news of an alert ─▶ wait? ─▶ a row in `held`, a deadline `digest` of the channel
                                   deadline ─▶ still quiet, or no room: looked at again later
                                            ─▶ one message with the alerts as they are now

Of an alert that waits, everything waits: its end never overtakes its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from libs.common.clock import to_micros
from libs.common.events.alert import Alert
from libs.common.loop.tx import Tx
from services.notify import delivering, message, policy, policy_pace, queue, store
from services.notify.policy import LISTED_IN_SUMMARY, News
from services.notify.policy_pace import Held, Hold, Traffic
from services.notify.queue import NewDelivery
from services.notify.store import Channel

DIGEST = "digest"
_WORDS = {Hold.QUIET: "quiet", Hold.RATE: "rate"}


def hold(tx: Tx, channel: Channel, alert: Alert) -> Held | None:
    """Keep news of `alert` for the channel's digest if it must wait; say why and until when."""
    held = _find_reason(tx, channel, alert)
    if held is not None:
        keep(tx, channel, alert, held)
    return held


def keep(tx: Tx, channel: Channel, alert: Alert, held: Held) -> None:
    tx.db.execute(
        "INSERT INTO held VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (channel.id, alert.id, _WORDS[held.why], to_micros(tx.now)),
    )
    _look_at(tx, channel.id, held.until)


def is_held(tx: Tx, channel_id: str, alert_id: str) -> bool:
    (found,) = tx.db.execute(
        "SELECT EXISTS (SELECT 1 FROM held WHERE channel_id = ? AND alert_id = ?)",
        (channel_id, alert_id),
    ).fetchone()
    return bool(found)


def count_held(tx: Tx, channel_id: str) -> int:
    (count,) = tx.db.execute(
        "SELECT count(*) FROM held WHERE channel_id = ?", (channel_id,)
    ).fetchone()
    return int(count)


def look_again(tx: Tx, channel_id: str) -> None:
    """The channel's hours or rate have changed: what waits may go now, or must wait longer."""
    if _held_ids(tx, channel_id):
        tx.schedule(DIGEST, channel_id, tx.now)


def forget(tx: Tx, channel_id: str) -> int:
    """Drop what waits for a channel that is deleted; return how many alerts that were."""
    tx.unschedule(DIGEST, channel_id)
    return tx.db.execute("DELETE FROM held WHERE channel_id = ?", (channel_id,)).rowcount


class Digester:
    """Writes the digests. `public_url` is where their links lead."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def on_digest(self, tx: Tx, channel_id: str, due_at: datetime) -> None:
        """Tell what waited, unless it must wait on."""
        channel = store.find_channel(tx.db, channel_id)
        waiting = _held_alerts(tx, channel_id)
        if channel is None or not waiting:
            return
        quiet = policy_pace.quiet_until(channel.quiet, tx.now)
        ready = [alert for alert in waiting if quiet is None or _breaks_through(channel, alert)]
        room = policy_pace.room_at(channel.rate, _sent(tx, channel), tx.now)
        if ready and room <= tx.now:
            self._tell(tx, channel, ready, due_at)
        elif ready:
            _look_at(tx, channel_id, room)
        if quiet is not None and len(ready) < len(waiting):
            _look_at(tx, channel_id, quiet)

    def _tell(self, tx: Tx, channel: Channel, ready: Sequence[Alert], due_at: datetime) -> None:
        over = _waits_for(tx, channel.id, Hold.QUIET)
        for alert in ready:
            tx.db.execute(
                "DELETE FROM held WHERE channel_id = ? AND alert_id = ?", (channel.id, alert.id)
            )
        told = sorted(
            (alert for alert in ready if _may_tell(tx, channel, alert)), key=policy.digest_order
        )
        if not told:
            return
        new_id = policy.digest_id(channel.id, (alert.id for alert in told), due_at)
        named = [store.named(tx, alert) for alert in told]
        body = message.compose_digest(new_id, named, self._public_url, quiet_over=over)
        about = tuple(alert.id for alert in told[:LISTED_IN_SUMMARY])
        delivering.enqueue(tx, NewDelivery(new_id, channel.id, News.DIGEST, about, body))
        _explain(tx, channel, told)


def _find_reason(tx: Tx, channel: Channel, alert: Alert) -> Held | None:
    held = None
    if channel.quiet is not None or channel.rate is not None:
        traffic = Traffic(_sent(tx, channel), _waits_for(tx, channel.id, Hold.RATE))
        held = policy_pace.assess_pace(channel.quiet, channel.rate, alert.severity, traffic, tx.now)
    if held is None and is_held(tx, channel.id, alert.id):
        return Held(Hold.RATE, tx.now)  # Its digest is due in this very pass.
    return held


def _look_at(tx: Tx, channel_id: str, at: datetime) -> None:
    """Look at the digest then, or earlier if that was planned."""
    tx.schedule(DIGEST, channel_id, min(at, tx.find_due(DIGEST, channel_id) or at))


def _sent(tx: Tx, channel: Channel) -> list[datetime]:
    if channel.rate is None:
        return []
    return queue.sent_lately(tx, channel.id, channel.rate.messages)


def _waits_for(tx: Tx, channel_id: str, why: Hold) -> bool:
    (found,) = tx.db.execute(
        "SELECT EXISTS (SELECT 1 FROM held WHERE channel_id = ? AND why = ?)",
        (channel_id, _WORDS[why]),
    ).fetchone()
    return bool(found)


def _held_ids(tx: Tx, channel_id: str) -> list[str]:
    rows = tx.db.execute("SELECT alert_id FROM held WHERE channel_id = ?", (channel_id,))
    return [alert_id for (alert_id,) in rows]


def _held_alerts(tx: Tx, channel_id: str) -> list[Alert]:
    found = (store.find_alert(tx, alert_id) for alert_id in _held_ids(tx, channel_id))
    return [alert for alert in found if alert is not None]


def _breaks_through(channel: Channel, alert: Alert) -> bool:
    return channel.quiet is None or alert.severity in channel.quiet.breaks_through


def _may_tell(tx: Tx, channel: Channel, alert: Alert) -> bool:
    """What a silence or an outage covers by now is told when they let go, not here."""
    covered = alert.held_by is not None or alert.silenced
    return not covered or queue.is_told(tx, channel.id, alert.id)


def _explain(tx: Tx, channel: Channel, told: Sequence[Alert]) -> None:
    for alert in told[:LISTED_IN_SUMMARY]:
        tx.decide(
            alert.host_id or "fleet", "notified",
            f"{alert.kind.words} {alert.state}: in a digest to {channel.name}",
            alert_id=alert.id, event=News.DIGEST.value, channel_id=channel.id,
        )  # fmt: skip
