"""What a page says of a job: how far it is, and what it was asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.ui.pages import words
from services.ui.views import JobView

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


def job(**changed: Any) -> JobView:
    given: dict[str, Any] = {
        "id": "j", "host_id": "h", "host_name": "box", "kind": "backup", "status": "running",
        "origin": "manual", "attempt": 1, "run_id": None, "schedule_id": None,
        "source_group_id": None, "fire_time": None, "created_at": NOW, "started_at": None,
        "finished_at": None, "exit_code": None, "error": None, "stats": None, "requested_by": "",
        "pending": False, "percent": None, "seconds_left": None,
    }  # fmt: skip
    return JobView(**given | changed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"bytes_done": 2048, "bytes_total": 4096}, "2.0 KiB of 4.0 KiB"),
        ({"bytes_done": 2048, "files_done": 3}, "2.0 KiB · 3 files"),
        ({"bytes_done": 0, "bytes_total": 0, "seconds_left": 61}, "0 B of 0 B · 2 min left"),
        ({"bytes_done": 2048, "status": "succeeded"}, ""),
    ],
)
def test_progress(changed: dict[str, Any], said: str) -> None:
    assert words.job_progress(job(**changed)) == said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        (
            {"kind": "restore", "arguments": {"snapshot": "1a2b", "target": "/t", "paths": []}},
            "everything of snapshot 1a2b into /t",
        ),
        (
            {"kind": "restore", "arguments": {"snapshot": "1a2b", "target": "/t", "paths": ["/a"]}},
            "/a of snapshot 1a2b into /t",
        ),
        (
            {"kind": "snapshots", "arguments": {"all_hosts": True}},
            "of all hosts that share the repository",
        ),
        ({"kind": "snapshots", "arguments": {"all_hosts": False}}, ""),
    ],
)
def test_what_was_asked(changed: dict[str, Any], said: str) -> None:
    assert words.job_about(job(**changed)) == said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"origin": "catchup"}, "the catch-up tries again, with growing pauses, until the "
                                "repository is reached"),
        ({"origin": "schedule"}, ""),
        ({"origin": "catchup", "reason": "wrong_password"}, ""),
        ({"origin": "catchup", "status": "succeeded", "reason": None}, ""),
    ],
)  # fmt: skip
def test_what_follows(changed: dict[str, Any], said: str) -> None:
    given = {"status": "failed", "reason": "repository_unreachable"} | changed
    assert words.job_follows(job(**given)) == said
