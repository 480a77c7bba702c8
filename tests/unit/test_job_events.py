"""What follows from an event of a job alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.events.job import JobFinished, JobOrigin, JobStatus

NOW = datetime(2026, 6, 15, 9, tzinfo=UTC)
PUT_OFF: dict[str, Any] = {
    "arm_id": "arm", "last_attempt": False, "reason": "repository_unreachable",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "is_put_off"),
    [
        pytest.param({}, True, id="left to the catch-up"),
        pytest.param({"arm_id": None}, False, id="a scheduled run that will be tried again"),
        pytest.param({"last_attempt": True}, False, id="nothing follows"),
        pytest.param({"reason": "wrong_password"}, False, id="another reason"),
        pytest.param({"reason": None}, False, id="an older agent says none"),
    ],
)
def test_a_run_is_put_off(changed: dict[str, Any], *, is_put_off: bool) -> None:
    event = JobFinished(
        host_id="h", job_id="j", origin=JobOrigin.CATCHUP, status=JobStatus.FAILED,
        finished_at=NOW, **PUT_OFF | changed,
    )  # fmt: skip
    assert event.is_put_off is is_put_off
