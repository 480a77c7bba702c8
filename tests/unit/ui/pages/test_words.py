"""What pages say, as tables: times, presence, what is next, when someone is told, strips."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from libs.common.events.host import HostRecord, Schedule, SourceGroup
from libs.common.thresholds import Origin, Threshold
from services.ui import queries
from services.ui.guards import BadForm
from services.ui.pages import forms, strip, times, words
from services.ui.pages.login import _own_path
from services.ui.pages.told import when_told
from services.ui.pages.wants import keys_of
from services.ui.views import (
    CatchUpView,
    Display,
    FleetDefaults,
    HostView,
    NextAlert,
    RunningJob,
    Strip,
    TimelineInterval,
)

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
MIN, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


MISSED = {"missed": Threshold(2 * HOUR, Origin.HOST)}


def host(display: str, *, scheduled: bool = True, **more: object) -> HostView:
    """A host as it is shown; always-on unless it sleeps."""
    record = HostRecord(
        id="h1", name="box", enrolled_at=NOW - 30 * DAY,
        always_on=more.pop("always_on", display != "asleep"),  # type: ignore[arg-type]
        source_groups=(SourceGroup(id="g1", name="home", includes=("/home",)),),
        schedules=(Schedule(id="s1", name="home", cron="0 2 * * *", source_group_ids=("g1",)),)
        if scheduled else (),
    )  # fmt: skip
    view = queries.view_of_record(record, now=NOW, fleet=FleetDefaults())
    status = "offline" if display == "asleep" else display
    facts = {"display": Display(display), "status": status, "overdue": False, **more}
    if display != "never_seen":
        facts.setdefault("last_seen_at", NOW - 3 * HOUR)
    return replace(view, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (-HOUR, "just now"), (timedelta(0), "just now"), (timedelta(seconds=59), "59 s ago"),
        (MIN, "1 min ago"), (HOUR - times.timedelta(microseconds=1), "59 min ago"),
        (HOUR, "1 h ago"), (DAY, "yesterday"), (2 * DAY, "2 d ago"), (400 * DAY, "400 d ago"),
    ],
)  # fmt: skip
def test_relative_times(ago: timedelta, text: str) -> None:
    assert times.since(NOW - ago, NOW) == text


@pytest.mark.parametrize(
    ("view", "row", "detail", "label"),
    [
        pytest.param(
            host("asleep"), "asleep · 3 h ago · will catch up on return",
            "asleep · last seen 3 h ago · will catch up on return", "asleep", id="asleep",
        ),
        pytest.param(
            host("offline"), "last seen 3 h ago", "last seen 3 h ago", "offline", id="offline"
        ),
        pytest.param(
            host("online", last_seen_at=NOW - 20 * MIN / 60), "online",
            "online · last heartbeat 20 s ago", None, id="online",
        ),
        pytest.param(
            host("never_seen"), "never connected", "never connected", None, id="never seen"
        ),
    ],
)  # fmt: skip
def test_presence_texts(view: HostView, row: str, detail: str, label: str | None) -> None:
    assert words.row_state(view).text(NOW) == row
    assert words.detail_state(view).text(NOW) == detail
    assert words.action_label(view) == label


def overlays(view: HostView) -> list[str]:
    found = [*words.activities(view), *words.attentions(view, NOW)]
    return [f"{one.shape} {one.text}{one.until or ''}" for one in found]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, []),
        ({"current_job": RunningJob("j", "backup", "running", 41.9, 60.0)},
         ["pie backing up 41 %"]),
        ({"current_job": RunningJob("j", "backup", "running", None, None)}, ["pie backing up"]),
        ({"current_job": RunningJob("j", "check", "dispatched", None, None)},
         ["pie checking: accepted"]),
        ({"catch_up": CatchUpView("settling", NOW + MIN)}, [f"clock catches up in {NOW + MIN}"]),
        ({"catch_up": CatchUpView("queued", NOW, 3)}, ["clock 3rd in queue"]),
        ({"catch_up": CatchUpView("queued", NOW)}, ["clock queued to catch up"]),
        ({"catch_up": CatchUpView("waiting", NOW, reason="these hours are kept free")},
         ["clock catch-up waits: these hours are kept free"]),
        ({"catch_up": CatchUpView("waiting", NOW, None, NOW + 20 * MIN, "out of reach")},
         ["clock catch-up waits: out of reach; tried again at 14:20"]),
        ({"pending_jobs": 2}, ["clock 2 backups wait for it"]),
        ({"failing": 1}, ["triangle failed 1×"]),
        ({"failing": 1, "failed_runs": 2}, ["triangle failed 2×"]),
        ({"failing": 0, "failed_runs": 2}, []),
        ({"told": frozenset({"stale_schedule"}), "last_backup_at": NOW - 8.5 * DAY},
         ["triangle no backup for 8 d"]),
        ({"told": frozenset({"agent_offline"}), "last_backup_at": NOW - 8 * DAY}, []),
    ],
)  # fmt: skip
def test_overlays(more: dict[str, object], said: list[str]) -> None:
    assert overlays(host("online", **more)) == said


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOW, "14:00"), (NOW + DAY - MIN, "13:59"), (NOW + DAY, "Tue 14:00"),
        (NOW - 14 * HOUR, "00:00"), (NOW - 14 * HOUR - MIN, "Sun 23:59"),
        (NOW - 7 * DAY, "Mon 16 Nov 14:00"),
    ],
)  # fmt: skip
def test_a_clock_leaves_out_the_day_only_where_it_is_clear(moment: datetime, text: str) -> None:
    assert times.clock(moment, NOW, ZoneInfo("UTC")) == text


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (timedelta(0), "0 s"), (timedelta(milliseconds=1), "1 s"), (59.5 * MIN / 60, "60 s"),
        (MIN, "1 min"), (MIN + timedelta(milliseconds=1), "2 min"), (-MIN, "0 s"),
    ],
)  # fmt: skip
def test_what_is_ahead_is_never_said_too_early(ahead: timedelta, text: str) -> None:
    assert times.until(NOW + ahead, NOW) == text


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("catchup_armed", "woke"), ("catchup_went_offline", "no catch-up"), ("offline", "offline"),
        ("no_alert", "no alert"), ("catchup_finished", "caught up"),
    ],
)  # fmt: skip
def test_names_of_decisions(what: str, name: str) -> None:
    assert words.decision_name(what) == name


def test_an_offline_server_says_when_it_alerts() -> None:
    ahead = NextAlert("agent_offline", NOW + 9 * MIN)
    assert overlays(host("offline", next_alert=ahead)) == ["triangle alert in 9 min"]
    past = NextAlert("agent_offline", NOW - MIN)
    assert overlays(host("offline", next_alert=past)) == ["triangle alert due"]


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (host("online", next_fire_at=NOW + 12 * HOUR), "next 02:00"),
        (host("asleep", overdue=True), "overdue, waits"),
        (host("online", overdue=True, next_fire_at=NOW + 12 * HOUR), "overdue, next 02:00"),
        (host("online", next_fire_at=NOW + 3 * DAY), "next Thu 14:00"),
        (host("online", next_fire_at=NOW + 7 * DAY), "next Mon 30 Nov 14:00"),
        (host("online", catch_up=CatchUpView("queued", NOW, 22)), "22nd in queue"),
        (host("online", scheduled=False), "nothing scheduled"),
    ],
)
def test_next_backup(view: HostView, text: str) -> None:
    assert words.next_backup(view, NOW) == text


@pytest.mark.parametrize(
    ("view", "kinds", "text"),
    [
        (host("online"), set(),
         "When it has been silent for 15 min or a backup fails; not of one that never begins: no "
         "threshold `missed`. (15 min, fleet default)"),
        (host("online", thresholds=host("online").thresholds | MISSED), set(),
         "When it has been silent for 15 min, a backup fails, or none has begun 2 h after its time."
         " (15 min, fleet default)"),
        (host("online", scheduled=False), set(),
         "When it has been silent for 15 min; not of missing backups: nothing is scheduled. "
         "(15 min, fleet default)"),
        (host("offline", next_alert=NextAlert("agent_offline", NOW + MIN)), set(),
         "First alert 14:01 if it stays silent (15 min, fleet default)"),
        (host("offline"), {"agent_offline"},
         "You have been told: it is expected online and silent. (15 min, fleet default)"),
        (host("never_seen"), set(), "Not before it has connected for the first time."),
        (host("asleep", last_backup_at=NOW - 6 * HOUR,
              next_alert=NextAlert("stale_schedule", NOW + 7 * DAY - 6 * HOUR)), set(),
         "Not while it sleeps. First alert Mon 30 Nov 08:00 if no backup succeeds "
         "(7 days, fleet default)"),
        (host("asleep"), set(),
         "Not while it sleeps. Missing backups count from its first successful one."),
        (host("asleep", scheduled=False), set(),
         "Not while it sleeps, and not of missing backups: nothing is scheduled."),
    ],
)  # fmt: skip
def test_r4_r5_r6_when_will_i_be_told(view: HostView, kinds: set[str], text: str) -> None:
    assert when_told(view, frozenset(kinds), NOW).whole() == text


def intervals(*parts: tuple[timedelta, str]) -> Strip:
    """Intervals that begin so long ago."""
    starts = [NOW - ago for ago, _ in parts]
    return Strip(
        tuple(
            TimelineInterval(start, end, state, None)  # type: ignore[arg-type]
            for start, end, (_, state) in zip(starts, [*starts[1:], None], parts, strict=True)
        )
    )


UTC_ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (Strip(), "14 days: never connected"),
        (intervals((30 * DAY, "online")), "14 days: online 100 %"),
        (intervals((30 * DAY, "online"), (7 * HOUR, "offline"), (HOUR, "not_observed")),
         "14 days: online 98 %, asleep 2 %, not observed 0 %"),
    ],
)  # fmt: skip
def test_strip_in_words(told: Strip, said: str) -> None:
    assert strip.row_strip(told, NOW, UTC_ZONE, away_word="asleep").label == said


def test_a_day_in_the_table_says_what_the_strip_says() -> None:
    told = intervals((30 * DAY, "never_seen"), (6 * HOUR, "online"), (2 * HOUR, "offline"))
    *earlier, today = strip.wide_strip(told, NOW, UTC_ZONE, away_word="asleep").columns
    assert today.text == "Mon 23 Nov: online 67 %, asleep 33 %"
    said = [today.day.said(state) for state in ("online", "offline", "not_observed")]
    assert said == ["67 %", "33 %", "0 %"]
    assert {one.day.said("online") for one in earlier} == {"–"}


@pytest.mark.parametrize("unknown", [True, False])
def test_a_strip_knows_whether_some_of_it_is_from_before_the_host_connected(unknown: bool) -> None:
    told = intervals((30 * DAY, "never_seen" if unknown else "offline"), (6 * HOUR, "online"))
    assert strip.wide_strip(told, NOW, UTC_ZONE, away_word="asleep").has_unknown is unknown


def test_strip_never_rounds_a_short_absence_away() -> None:
    told = intervals((30 * DAY, "online"), (MIN, "offline"))
    drawn = strip.row_strip(told, NOW, UTC_ZONE, away_word="offline")
    assert drawn.online.endswith(f"M117 18h7v-{strip.FULL - 3}h-7z")


def test_strip_days_are_the_hosts_own_and_never_longer_than_they_are() -> None:
    zone = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 10, 27, 12, tzinfo=UTC)  # Sunday the 25th had 25 hours there.
    always = TimelineInterval(now - 30 * DAY, None, "online", None)
    days = strip.days_of(Strip((always,)), now, zone)
    assert [round(day.shares["online"], 3) for day in days[:-1]] == [1.0] * 13
    assert days[-1].shares["online"] == pytest.approx(13 / 24)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/alerts?tab=open", "/alerts?tab=open"), ("", "/"), ("//evil", "/"), ("/\\evil", "/"),
        ("https://evil", "/"), ("/a\nb", "/"), ("javascript:alert(1)", "/"),
    ],
)  # fmt: skip
def test_only_own_paths_are_followed(path: str, own: str) -> None:
    assert _own_path(path) == own


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"tabs": 1}', b'{"tabs": [1]}', b'{"tabs": [{"list": {"of": "x"}}]}',
     b'{"tabs": [{"list": {"of": "hosts", "id": "x<y"}}]}', b'{"tabs": [' + b"{}," * 70 + b"{}]}",
     b'{"tabs": [{"list": {"of": "hosts", "id": "list-1", "q": "state:x"}}]}'],
)  # fmt: skip
def test_what_no_page_of_ours_shows_is_refused(body: bytes) -> None:
    with pytest.raises(BadForm):
        keys_of(body)


def test_what_tabs_show_becomes_keys() -> None:
    body = b'{"tabs": [{"rows": ["a", "b", "<x>", 7]}, {"host": "c", "jobs": ["d"]}]}'
    assert keys_of(body) == {
        ("fleet", ""), ("row", "a"), ("row", "b"), ("host", "c"), ("jobrow", "d")
    }  # fmt: skip


def test_environment_of_a_repository_never_repeats_a_value() -> None:
    assert forms.environment_of("A=1\n\n B_2 = x=y ") == {"A": "1", "B_2": "x=y"}
    with pytest.raises(BadForm, match="line 2") as caught:
        forms.environment_of("A=1\nsecret")
    assert "secret" not in str(caught.value)
