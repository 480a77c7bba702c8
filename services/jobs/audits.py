"""Audit entries of what people did to jobs."""

from __future__ import annotations

from typing import Any

from libs.common.events.host import Actor, Audit
from libs.common.loop.tx import Tx
from services.jobs.records import Job


def audit(
    tx: Tx, actor: Actor, job: Job, action: str, after: dict[str, Any],
    before: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    tx.emit(
        Audit(
            service="jobs",
            target=job.job_id,
            action=action,
            actor=actor,
            at=tx.now,
            host_id=job.host_id,
            before=before,
            after=after,
        )
    )
