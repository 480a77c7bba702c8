"""The part of alerting's machine that lets silences begin and end.

What a silence covers is judged when an alert is raised, when a silence is made, begins or ends, and
when a host's tags change. Like every judgement it waits until the log has been read to its end, but
for what an operator asks: that is decided at the tail anyway.
"""

from __future__ import annotations

from datetime import datetime

from libs.common import weekly
from libs.common.clock import to_rfc3339
from libs.common.events.alert import Alert
from libs.common.events.host import Actor, Audit
from libs.common.loop.tx import Tx
from services.alerting import alerts, coverage
from services.alerting import store_alerts as rows
from services.alerting import store_silences as store
from services.alerting.store_silences import SilenceRecord

CREATED, ENDED = "silence.created", "silence.ended"


def create(tx: Tx, actor: Actor, silence: SilenceRecord) -> None:
    """Make a silence; what it covers now is silenced at once."""
    store.save_silence(tx, silence)
    _audit(tx, actor, CREATED, None, silence)
    _decide(tx, silence, "silence_created", f"{actor.name} made a silence")
    look_at_all(tx)


def end(tx: Tx, actor: Actor, silence: SilenceRecord) -> SilenceRecord:
    """End a silence by hand; what nothing else covers is told at once."""
    ended = silence.model_copy(update={"ended_at": tx.now, "ended_by": actor.name})
    store.save_silence(tx, ended)
    _audit(tx, actor, ENDED, silence, ended)
    _decide(tx, ended, "silence_ended", f"{actor.name} ended the silence")
    look_at_all(tx)
    return ended


def on_due(tx: Tx, key: str, _: datetime) -> None:
    """A silence began or ended (`ALL`), or the tags of host `key` changed."""
    if key == coverage.ALL:
        look_at_all(tx)
    else:
        _look(tx, rows.list_open(tx, key))


def look_at_all(tx: Tx) -> None:
    """Judge every open alert anew, and look again when that can change."""
    _look(tx, rows.list_open(tx))
    coverage.expect_change(tx, store.list_current(tx))


def _look(tx: Tx, found: list[Alert]) -> None:
    current = store.list_current(tx)
    for alert in found:
        cover = coverage.find_cover(tx, alert, current)
        if alert.silenced != (cover is not None):
            alerts.change_silenced(tx, alert, cover)


def on_audit(tx: Tx, event: Audit) -> None:
    """Take our own silences from the log, for a rebuild. Idempotent by silence and its end."""
    if event.service != "alerting" or event.action not in (CREATED, ENDED) or not event.after:
        return
    silence = SilenceRecord.model_validate(event.after)
    known = store.find_silence(tx, silence.id)
    if known is None or (known.ended_at is None and silence.ended_at is not None):
        store.save_silence(tx, silence)
        tx.schedule(coverage.DEADLINE, coverage.ALL, tx.now)


def _audit(
    tx: Tx, actor: Actor, action: str, before: SilenceRecord | None, after: SilenceRecord
) -> None:
    tx.emit(
        Audit(
            service="alerting", target=after.id, action=action, actor=actor, at=tx.now,
            host_id=after.host_id, before=None if before is None else body(before),
            after=body(after),
        )
    )  # fmt: skip


def body(silence: SilenceRecord) -> dict[str, object]:
    return silence.model_dump(mode="json", by_alias=True)


def _until(silence: SilenceRecord) -> str:
    end = silence.ended_at or silence.ends_at
    return "until it is ended" if end is None else f"to {to_rfc3339(end)}"


def _decide(tx: Tx, silence: SilenceRecord, what: str, begun: str) -> None:
    span = f"from {to_rfc3339(silence.begins_at)} {_until(silence)}"
    if silence.weekly is not None:
        span += f", {weekly.describe(silence.weekly)}"
    because = f": {silence.reason}" if silence.reason else ""
    text = f"{begun} ({coverage.describe(silence.rule.scope)}), {span}{because}"
    tx.decide(silence.host_id or alerts.FLEET, what, text, silence_id=silence.id)
