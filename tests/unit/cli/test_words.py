"""What the command line says of hosts; a word for every state."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len

from cli import words
from cli.event_log import Source, matches
from cli.fleet import host_table
from cli.table import lay_out
from cli.terminal import Terminal
from cli.why import Story, coming_next, explain, text_of, what_of
from libs.common.clock import to_rfc3339

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


def host(**fields: Any) -> dict[str, Any]:
    """An asleep laptop, unless `fields` say otherwise."""
    seen = to_rfc3339(NOW - timedelta(hours=3))
    return {
        "id": "01M850MX192EH5JC4NXFWN64D3", "name": "laptop-7", "always_on": False,
        "status": "offline", "display": "asleep", "since": seen, "last_seen_at": seen,
        "last_backup_at": None, "current_job_id": None, "catch_up": None, "overdue": False,
        "next_fire_at": None, "open_alerts": 0, "attention": False, "next_alert": None,
        "tags": [], "timezone": "UTC", "agent_version": "1", "os": "linux", "arch": "amd64",
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("display", "said"),
    [
        ("online", "● online"),
        ("offline", "■ offline"),
        ("asleep", "☾ asleep"),
        ("never_seen", "○ never connected"),
    ],
)
def test_r2_every_state_has_its_shape_and_word(display: str, said: str) -> None:
    assert words.presence(host(display=display)) == said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({}, "-", id="nothing scheduled"),
        pytest.param({"overdue": True}, "when it wakes", id="asleep and overdue"),
        pytest.param(
            {"overdue": True, "display": "offline"}, "overdue, waits", id="offline, overdue"
        ),
        pytest.param(
            {"overdue": True, "display": "never_seen"}, "overdue, waits", id="never connected"
        ),
        pytest.param({"current_job_id": "x"}, "◔ backing up", id="running"),
        pytest.param(
            {"catch_up": {"state": "settling", "due_at": "2026-11-23T14:00:42Z", "place": None}},
            "◷ catches up in 0:42", id="settling",
        ),
        pytest.param(
            {"catch_up": {"state": "queued", "due_at": None, "place": 3, "starts_at": None}},
            "◷ 3rd in queue", id="queued",
        ),
    ],
)  # fmt: skip
def test_what_comes_next(fields: dict[str, Any], said: str) -> None:
    assert words.next_backup(host(**fields), NOW) == said


def test_r1_the_mode_shows_in_80_columns_whatever_else_is_there() -> None:
    arm = {"state": "settling", "due_at": "2026-11-23T14:00:42Z", "place": None}
    rows = [
        host(name="a-rather-long-name-of-a-host", display="never_seen", catch_up=arm),
        host(id="2", always_on=True, attention=True, display="offline"),
    ]
    kinds = {rows[0]["id"]: [], "2": ["agent_offline", "backup_failed"]}
    head, first, second = lay_out(host_table(kinds, NOW), rows, Terminal(80))
    assert "MODE" in head
    assert "may sleep" in first
    assert "24×7" in second
    assert max(map(cell_len, (head, first, second))) <= 80


SKETCH = (
    ["STATE", "HOST", "MODE", "SEEN", "LAST BACKUP", "NEXT", "ALERTS"],
    ["■ offline", "web-3", "24×7", "18 min", "6 h ago", "02:00", "offline"],
    ["☾ asleep", "laptop-7", "intermittent", "3 h", "yesterday", "when it wakes", "-"],
)


def test_the_list_is_as_sketched_and_fits() -> None:
    """Brief words come one column at a time: the mode and the titles stay whole here."""
    rows = [
        host(id="2", name="web-3", always_on=True, display="offline",
             last_seen_at=to_rfc3339(NOW - timedelta(minutes=18)),
             last_backup_at=to_rfc3339(NOW - timedelta(hours=6)),
             next_fire_at=to_rfc3339(NOW.replace(hour=2) + timedelta(days=1))),
        host(overdue=True, last_seen_at=to_rfc3339(NOW - timedelta(hours=3)),
             last_backup_at=to_rfc3339(NOW - timedelta(days=1))),
    ]  # fmt: skip
    kinds = {"2": ["agent_offline"], rows[1]["id"]: []}
    lines = lay_out(host_table(kinds, NOW), rows, Terminal(80))
    for line, cells in zip(lines, SKETCH, strict=True):
        assert re.split(r" {2,}", line.strip()) == cells
        assert cell_len(line) <= 80


def test_the_fleet_in_a_sentence() -> None:
    fleet = {"total": 18, "online": 6, "asleep": 11, "offline": 1, "never_seen": 0, "attention": 2}
    said = "18 hosts: 6 online, 11 asleep, 1 offline · 2 need attention"
    assert words.fleet_summary(fleet) == said
    assert words.fleet_summary(dict.fromkeys(fleet, 0)) == "0 hosts"


def test_a_fleet_without_an_alert_that_counts_needs_nobody() -> None:
    fleet = {"total": 4, "online": 4, "asleep": 0, "offline": 0, "never_seen": 0, "attention": 1}
    said = "4 hosts: 4 online · 1 to look at, no alert counts: dormice hosts is:attention"
    assert words.calm_summary(fleet) == said
    assert words.calm_summary(fleet | {"attention": 0}) == "4 hosts: 4 online"


def test_r19_why_tells_what_was_decided_and_what_comes_next() -> None:
    decision = {
        "at": to_rfc3339(NOW - timedelta(hours=3)), "service": "alerting", "what": "no_alert",
        "rule": "R4", "text": "intermittent hosts raise none while asleep", "facts": {},
    }  # fmt: skip
    schedule = {"id": "s", "name": "home", "overdue": True, "next_fire": None,
                "overdue_since": to_rfc3339(NOW - timedelta(hours=12))}  # fmt: skip
    story = Story(host(), [decision], [], [schedule])
    lines = explain(story, NOW, 80)
    assert lines[0].startswith("laptop-7 is asleep (intermittent), last seen ")
    assert "no alert" in lines[-2]
    assert "(R4)" in lines[-2]
    since = f"{(NOW - timedelta(hours=12)).astimezone():%H:%M}"
    coming = f"when it wakes: settles, then home (overdue since {since})"
    assert lines[-1].split(maxsplit=1) == ["next", coming]


def test_times_in_a_decision_are_clocks_of_this_terminal() -> None:
    until = NOW + timedelta(minutes=15)
    decision = {"rule": "R5", "facts": {}, "text": f"raised unless back by {to_rfc3339(until)}"}
    assert text_of(decision, NOW) == f"raised unless back by {until.astimezone():%H:%M} (R5)"


@pytest.mark.parametrize(("text", "said"), [
    pytest.param("no run, it ran: job 0e2f5a0c-1c5e-5b7e-9d0a-3f5f6a7b8c9d", "job 6a7b8c9d",
                 id="a run's"),
    pytest.param("01M850MX192EH5JC4NXFWN64D3: attempt 1 sent", "FWN64D3: attempt 1", id="a group"),
    pytest.param("home: 1 run for 3 missed fires", "home: 1 run for 3 missed fires", id="none"),
])  # fmt: skip
def test_ids_in_a_decision_are_short(text: str, said: str) -> None:
    shown = text_of({"rule": "", "facts": {}, "text": text}, NOW)
    assert said in shown
    assert not re.search(r"[0-9A-Za-z]{26}|[0-9a-f]{8}-", shown)


@pytest.mark.parametrize(("what", "text", "name"), [
    ("host_enrolled", "host enrolled by ada", "joined"),
    ("repository_set", "repository set by ada", "changed"),
    ("source_group_removed", "source group removed by ada", "changed"),
    ("schedule_created", "schedule created by ada", "new schedule"),
    ("catchup_busy", "no catch-up: the host is busy", "no catch-up"),
    ("job_sent", "home: attempt 1 sent", "job sent"),
])  # fmt: skip
def test_no_decision_says_its_name_twice(what: str, text: str, name: str) -> None:
    assert what_of({"what": what, "text": text}) == name


def test_why_of_an_offline_host_says_when_its_alert_comes() -> None:
    ahead = {"kind": "agent_offline", "at": to_rfc3339(NOW + timedelta(minutes=9))}
    away = host(display="offline", always_on=True, next_alert=ahead)
    assert coming_next(away, [], NOW) == "alert in 9 min"


@pytest.mark.parametrize(
    ("pattern", "subject", "fits"),
    [
        ("dormice.alert.>", "dormice.alert.h.agent_offline.raised", True),
        ("dormice.alert.>", "dormice.alert", False),
        ("dormice.*.h.*", "dormice.presence.h.online", True),
        ("dormice.*.h.*", "dormice.alert.h.agent_offline.raised", False),
        ("dormice.presence.h.online", "dormice.presence.h.online", True),
        ("dormice.a.b", "dormice.axb", False),
    ],
)
def test_subjects(pattern: str, subject: str, fits: bool) -> None:
    assert matches(pattern, subject) is fits


def test_r20_a_bus_is_shown_without_its_password() -> None:
    source = Source("nats://reader:secret@bus:4222")
    assert source.shown == "bus:4222"
    assert (source.name, source.stream, source.inbox) == ("reader", "ALERTS", "_INBOX")


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"status": "running", "bytes_done": None}, ""),
        ({"status": "succeeded", "bytes_done": 5}, ""),
        (
            {"status": "running", "bytes_done": 2048, "bytes_total": 4096, "files_done": 3,
             "seconds_left": 61},
            "2.0 KiB of 4.0 KiB, 3 files, 2 min left",
        ),
        (
            {"status": "running", "bytes_done": 2048, "bytes_total": None, "files_done": None,
             "seconds_left": None},
            "2.0 KiB",
        ),
    ],
)  # fmt: skip
def test_job_progress(job: dict[str, Any], said: str) -> None:
    assert words.job_progress(job) == said
