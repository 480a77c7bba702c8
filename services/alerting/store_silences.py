"""Alerting's table of silences."""

from __future__ import annotations

from datetime import timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.common.clock import to_micros
from libs.common.events.alert import AlertKind
from libs.common.loop.tx import Tx
from libs.common.weekly import Weekly
from services.alerting.policy_silence import FOREVER, Scope, Silence, Span

KEEP_HISTORY = timedelta(days=400)


class SilenceRecord(BaseModel):
    """A silence with who made it and why; the form in which it is kept, shown and audited.

    `ended_at`, `ended_by`: ended by hand before it was over. `weekly`: only within these times; and
    only such a one may have no `to`: then it goes on until it is ended by hand.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str
    host_id: str | None = None
    tag: str | None = None
    kind: AlertKind | None = None
    begins_at: AwareDatetime = Field(alias="from")
    ends_at: AwareDatetime | None = Field(default=None, alias="to")
    weekly: Weekly | None = None
    reason: str = ""
    created_at: AwareDatetime
    created_by: str
    ended_at: AwareDatetime | None = None
    ended_by: str | None = None

    @property
    def span(self) -> Span:
        return Span(self.begins_at, self.ended_at or self.ends_at or FOREVER)

    @property
    def rule(self) -> Silence:
        """What the rules need of it."""
        return Silence(self.id, Scope(self.host_id, self.tag, self.kind), self.span, self.weekly)


def save_silence(tx: Tx, silence: SilenceRecord) -> None:
    """Insert or replace a silence; forget those that were over long ago."""
    tx.db.execute(
        "INSERT OR REPLACE INTO silence VALUES (?, ?, ?)",
        (silence.id, to_micros(silence.span.ends_at), silence.model_dump_json(by_alias=True)),
    )
    tx.db.execute("DELETE FROM silence WHERE over_at < ?", (to_micros(tx.now - KEEP_HISTORY),))


def find_silence(tx: Tx, silence_id: str) -> SilenceRecord | None:
    row = tx.db.execute("SELECT body FROM silence WHERE silence_id = ?", (silence_id,)).fetchone()
    return SilenceRecord.model_validate_json(row[0]) if row else None


def list_silences(tx: Tx, *, over: bool, limit: int) -> list[SilenceRecord]:
    """Return silences that are not over, then (if `over`) the others; of each the newest first."""
    rows = tx.db.execute(
        "SELECT body FROM silence WHERE ?2 OR over_at > ?1 "
        "ORDER BY over_at > ?1 DESC, silence_id DESC LIMIT ?3",
        (to_micros(tx.now), over, limit),
    )
    return [SilenceRecord.model_validate_json(body) for (body,) in rows.fetchall()]


def list_current(tx: Tx) -> list[Silence]:
    """Return what the rules need of each silence that is not over."""
    rows = tx.db.execute("SELECT body FROM silence WHERE over_at > ?", (to_micros(tx.now),))
    return [SilenceRecord.model_validate_json(body).rule for (body,) in rows.fetchall()]


def count_current(tx: Tx) -> int:
    (count,) = tx.db.execute(
        "SELECT count(*) FROM silence WHERE over_at > ?", (to_micros(tx.now),)
    ).fetchone()
    return int(count)
