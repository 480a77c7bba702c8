"""The part of alerting's machine that answers calls about silences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.common.errors import BadInput, Conflict, HostNotFound, NotFound
from libs.common.events.alert import AlertKind
from libs.common.events.host import Actor
from libs.common.labels import check_label, check_tag
from libs.common.loop.machine import Verb
from libs.common.loop.tx import Tx
from libs.common.weekly import Weekly
from services.alerting import policy_silence, silences, store
from services.alerting import store_silences as rows
from services.alerting.policy_silence import FOREVER, LONGEST, SilenceState, Span, SpanVerdict
from services.alerting.store_silences import SilenceRecord

MOST_CURRENT = 200
MOST_LISTED = 500
"""A list fits into one message of the bus, with every silence that is not over."""
REASON_LENGTH = 200


class NewSilence(BaseModel):
    """Arguments of `create_silence`: whom (at least one), from when (now), and `to` or `for`.

    `weekly`: only within these times; such a one may go on `until_ended`, if that is said.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    host_id: str | None = Field(default=None, max_length=128)
    tag: str | None = None
    kind: AlertKind | None = None
    begins_at: AwareDatetime | None = Field(default=None, alias="from")
    ends_at: AwareDatetime | None = Field(default=None, alias="to")
    lasts: timedelta | None = Field(default=None, alias="for")
    weekly: Weekly | None = None
    until_ended: bool = False
    reason: str = ""


class SilenceId(BaseModel):
    """Arguments of `get_silence` and `end_silence`."""

    silence_id: str = Field(max_length=64)


class ListSilences(BaseModel):
    """Arguments of `list_silences`; `over` false: only those that are not over."""

    over: bool = True
    limit: int = Field(default=MOST_LISTED, ge=1, le=MOST_LISTED)


def on_create(tx: Tx, actor: Actor, wanted: NewSilence) -> dict[str, Any]:
    """Return the silence. Raises: BadInput, HostNotFound, Conflict (too many)."""
    if wanted.host_id is None and wanted.tag is None and wanted.kind is None:
        raise BadInput("say what to silence: a host, a tag or a kind of alert")
    if wanted.host_id is not None and store.find_present(tx, wanted.host_id) is None:
        raise HostNotFound(f"no host has the id {wanted.host_id}")
    tag = None if wanted.tag is None else check_tag(wanted.tag)
    reason = check_label(wanted.reason, "a reason", least=0, longest=REASON_LENGTH)
    span = _span(wanted, tx.now)
    if rows.count_current(tx) >= MOST_CURRENT:
        raise Conflict(f"there are {MOST_CURRENT} silences already; end some first")
    silence = SilenceRecord(
        id=tx.new_id(), host_id=wanted.host_id, tag=tag, kind=wanted.kind,
        begins_at=span.begins_at, ends_at=None if wanted.until_ended else span.ends_at,
        weekly=wanted.weekly, reason=reason,
        created_at=tx.now, created_by=actor.name,
    )  # fmt: skip
    silences.create(tx, actor, silence)
    return _view(tx, silence)


def on_end(tx: Tx, actor: Actor, wanted: SilenceId) -> dict[str, Any]:
    """End a silence now. Raises: NotFound, Conflict if it is over already."""
    silence = _get(tx, wanted.silence_id)
    if policy_silence.assess_state(silence.span, tx.now) is SilenceState.OVER:
        by = f": {silence.ended_by} ended it" if silence.ended_by else ""
        raise Conflict(f"this silence is over already{by}")
    return _view(tx, silences.end(tx, actor, silence))


def on_get(tx: Tx, _: Actor, wanted: SilenceId) -> dict[str, Any]:
    """Raises: NotFound."""
    return _view(tx, _get(tx, wanted.silence_id))


def on_list(tx: Tx, _: Actor, wanted: ListSilences) -> list[dict[str, Any]]:
    """Return silences: those that are not over, then the others, of each the newest first."""
    found = rows.list_silences(tx, over=wanted.over, limit=wanted.limit)
    return [_view(tx, silence) for silence in found]


VERBS = {
    "create_silence": Verb(on_create, NewSilence, role="operator"),
    "end_silence": Verb(on_end, SilenceId, role="operator"),
    "get_silence": Verb(on_get, SilenceId),
    "list_silences": Verb(on_list, ListSilences),
}


def _get(tx: Tx, silence_id: str) -> SilenceRecord:
    silence = rows.find_silence(tx, silence_id)
    if silence is None:
        raise NotFound(f"no silence has the id {silence_id}")
    return silence


def _span(wanted: NewSilence, now: datetime) -> Span:
    """Return from when until when. Raises: BadInput."""
    begins_at, ends_at = wanted.begins_at or now, wanted.ends_at
    if wanted.until_ended:
        ends_at = _forever(wanted)
    if (ends_at is None) == (wanted.lasts is None):
        raise BadInput("say until when, or for how long: one of the two")
    if ends_at is None:
        assert wanted.lasts is not None
        ends_at = _later(begins_at, wanted.lasts)
    span = Span(begins_at, ends_at)
    verdict = policy_silence.assess_span(span, now)
    if verdict is not SpanVerdict.FINE:
        raise BadInput(verdict.value)
    return Span(begins_at.astimezone(UTC), ends_at.astimezone(UTC))


def _forever(wanted: NewSilence) -> datetime:
    """Never open-ended by accident: only if it is weekly, and nothing else was said."""
    if wanted.weekly is None:
        raise BadInput("only a weekly silence may go on until it is ended")
    if wanted.ends_at is not None:
        raise BadInput("say until when, or until it is ended: one of the two")
    return FOREVER


def _later(begins_at: datetime, lasts: timedelta) -> datetime:
    """A date may be too late to add anything to; what is too long is refused before."""
    if lasts > LONGEST:
        raise BadInput(SpanVerdict.TOO_LONG.value)
    try:
        return begins_at + lasts
    except OverflowError:
        raise BadInput(SpanVerdict.TOO_FAR.value) from None


def _view(tx: Tx, silence: SilenceRecord) -> dict[str, Any]:
    state = policy_silence.assess_state(silence.span, tx.now, silence.weekly)
    return {**silences.body(silence), "state": state}
