"""What an agent really did, as it alone knows it: the truth that the oracle compares with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.common.clock import SystemClock


@dataclass(slots=True)
class Execution:
    """A job that really ran. `run` is None for a manual one; times are the true ones.

    `names` is what the reports of a run that the agent started alone must say.
    """

    job_id: str
    run: str | None
    attempt: int
    began: datetime
    names: dict[str, Any] = field(default_factory=dict)
    ended: datetime | None = None
    status: str = ""
    acknowledged_at: datetime | None = None

    @property
    def acknowledged(self) -> bool:
        return self.acknowledged_at is not None

    @property
    def succeeded(self) -> bool:
        return self.status.startswith("succeeded")


@dataclass(slots=True)
class Ledger:
    """One agent's record. Whatever breaks a rule on the spot is in `violations`."""

    executions: list[Execution] = field(default_factory=list)
    acknowledged: list[dict[str, Any]] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    answered: list[datetime] = field(default_factory=list)
    goodbyes: list[str] = field(default_factory=list)
    closes: Counter[int | None] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    connected_at: datetime | None = None
    left_at: datetime | None = None
    idle_since: datetime | None = None

    def begin(self, execution: Execution) -> None:
        """R15: nothing is executed twice, two attempts never at once, none after a success."""
        for other in self.executions:
            if other.job_id == execution.job_id:
                self.violations.append(f"R15: job {execution.job_id} is executed twice")
            if execution.run is None or other.run != execution.run:
                continue
            if other.ended is None:
                self.violations.append(f"R15: {execution} while {other} goes on")
            if other.succeeded:
                self.violations.append(f"R15: {execution} after the success {other}")
        self.executions.append(execution)

    def acknowledge(self, frame: dict[str, Any], session: str) -> None:
        """A report is durable: from now on it must be found everywhere."""
        self.acknowledged.append({**frame, "session": session})
        if frame["type"] == "job_finished":
            for execution in self.executions:
                if execution.job_id == frame["job_id"]:
                    execution.acknowledged_at = SystemClock().now()

    @property
    def ends(self) -> list[Execution]:
        """The executions that ended, oldest end first."""
        ended = [one for one in self.executions if one.ended is not None and one.status]
        return sorted(ended, key=lambda one: one.ended or one.began)

    def last_acknowledged(self) -> datetime | None:
        """Return when the last good run was acknowledged: it was received before."""
        good = (one.acknowledged_at for one in self.executions if one.succeeded)
        return max((at for at in good if at is not None), default=None)

    def last_success(self, *, acknowledged: bool) -> datetime | None:
        """Return when the last good run ended, of those that were acknowledged, or of all."""
        ends = [one.ended for one in self.executions if one.succeeded and one.ended is not None
                and (one.acknowledged or not acknowledged)]  # fmt: skip
        return max(ends, default=None)
