"""Progress and log of running jobs, told to whoever listens now and stored nowhere."""

from __future__ import annotations

import re

from libs.common.bus.base import Bus
from libs.common.protocol import JobLog, JobProgress

_ONE_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")


def send_job_frame(bus: Bus, host_id: str, frame: JobProgress | JobLog) -> None:
    """Send to `dormice-live.job.<host>.<job>`; an id that is no subject token goes nowhere."""
    if not _ONE_TOKEN.fullmatch(frame.job_id):
        return
    kind = "progress" if isinstance(frame, JobProgress) else "log"
    body = frame.model_copy(update={"type": kind}).model_dump_json()
    head = f'{{"host_id": "{host_id}", "kind": "{kind}", '
    bus.send_live(f"dormice-live.job.{host_id}.{frame.job_id}", (head + body[1:]).encode())
