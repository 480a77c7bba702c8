"""Silences: an alert exists and nobody is told; at the end who was not told is, if it holds."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.clock import TICK, to_rfc3339
from libs.common.errors import BadInput, Conflict, DormiceError, HostNotFound, NotFound
from libs.common.events.alert import AlertRaised, AlertSilenced, AlertUnsilenced
from libs.common.events.host import Audit, HostRemoved
from libs.common.testing.rig import START, Rig
from services.alerting import silence_requests
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    MINUTE,
    advance_to,
    alerting,
    changed,
    enrolled,
    failed,
    hello,
    open_alerts,
    record,
    silent_server,
)
from tests.unit.alerting.test_r19_explained import replayed


def silence(rig: Rig, **wanted: Any) -> str:
    """Make a silence of h1 for an hour, unless `wanted` says otherwise; return its id."""
    given = wanted or {"host_id": "h1", "for": "PT1H"}
    return str(rig.ask("create_silence", **given)["id"])


def is_silenced(rig: Rig, **wanted: Any) -> list[bool]:
    return [alert["silenced"] for alert in open_alerts(rig, **wanted)]


def changes(rig: Rig) -> list[str]:
    """Return what the log says of silenced alerts, in order."""
    kinds = (AlertSilenced, AlertUnsilenced)
    return [type(event).__name__ for event in rig.log if isinstance(event, kinds)]


def test_raised_while_silenced_and_told_at_the_end() -> None:
    rig = silent_server()
    advance_to(rig, START + FLOOR - MINUTE)
    silence(rig)
    rig.advance(MINUTE)
    assert rig.last(AlertRaised).alert.silenced
    assert is_silenced(rig) == [True]
    rig.advance(HOUR - MINUTE - TICK)
    assert (is_silenced(rig), changes(rig)) == ([True], [])
    rig.advance(TICK)
    assert (is_silenced(rig), changes(rig)) == ([False], ["AlertUnsilenced"])
    assert not rig.last(AlertUnsilenced).alert.silenced
    rig.advance(DAY)
    assert len(changes(rig)) == 1
    assert len(rig.of(AlertRaised)) == 1


def test_resolved_while_silenced_says_nothing_at_the_end() -> None:
    rig = silent_server()
    silence(rig)
    advance_to(rig, START + FLOOR)
    rig.publish(hello(session="s2", connection=2))
    rig.advance(2 * HOUR)
    assert (open_alerts(rig), changes(rig)) == ([], [])


def test_an_open_alert_is_silenced_at_once_and_every_silence_leaves_its_decision() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    made = silence(rig, host_id="h1", reason="new disks", **{"for": "PT3H"})
    assert (is_silenced(rig), changes(rig)) == ([True], ["AlertSilenced"])
    assert rig.buckets["alerts"][open_alerts(rig)[0]["id"]].count(b'"silenced":true') == 1
    rig.advance(HOUR)
    rig.ask("end_silence", silence_id=made)
    assert (is_silenced(rig), changes(rig)) == ([False], ["AlertSilenced", "AlertUnsilenced"])
    whats = rig.decisions("alerting", "h1")
    for what in ("silence_created", "alert_silenced", "silence_ended", "alert_unsilenced"):
        assert whats.count(what) == 1


def test_a_silence_that_begins_later_covers_from_its_begin_on() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    begins, ends = rig.now + HOUR, rig.now + 2 * HOUR
    silence(rig, host_id="h1", **{"from": to_rfc3339(begins), "to": to_rfc3339(ends)})
    advance_to(rig, begins - TICK)
    assert is_silenced(rig) == [False]
    rig.advance(TICK)
    assert is_silenced(rig) == [True]
    advance_to(rig, ends)
    assert is_silenced(rig) == [False]


def test_a_silence_covers_what_is_raised_in_time_that_the_clock_repeats() -> None:
    rig = silent_server()
    begins = rig.now + 2 * MINUTE
    silence(rig, host_id="h1", **{"from": to_rfc3339(begins), "to": to_rfc3339(begins + HOUR)})
    advance_to(rig, begins + MINUTE)  # It was noticed that it has begun.
    rig.clock.set(begins - MINUTE)
    rig.publish(failed(rig.now))
    assert is_silenced(rig) == [False]
    advance_to(rig, begins)
    assert is_silenced(rig) == [True]


def test_while_another_silence_covers_it_nothing_changes() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    first = silence(rig)
    silence(rig, kind="agent_offline", **{"for": "PT2H"})
    rig.ask("end_silence", silence_id=first)
    rig.advance(2 * HOUR - TICK)
    assert (is_silenced(rig), changes(rig)) == ([True], ["AlertSilenced"])
    rig.advance(TICK)
    assert changes(rig) == ["AlertSilenced", "AlertUnsilenced"]


def test_by_tag_and_the_tags_change() -> None:
    rig = silent_server()
    rig.publish(
        changed(record(version=2, tags=("lab",))),
        enrolled("h2"),
        failed(rig.now, "j2", host_id="h2"),
    )
    rig.advance(HOUR)
    silence(rig, tag=" LAB ", **{"for": "P1D"})
    assert is_silenced(rig, host_id="h1") == [True]
    assert is_silenced(rig, host_id="h2") == [False]
    rig.publish(changed(record(version=3, tags=("prod",))))
    assert is_silenced(rig, host_id="h1") == [False]
    rig.publish(changed(record("h2", version=2, tags=("lab", "prod"))))
    assert is_silenced(rig, host_id="h2") == [True]


def test_by_kind_only_that_kind() -> None:
    rig = silent_server()
    rig.publish(failed(rig.now))
    rig.advance(HOUR)
    silence(rig, kind="backup_failed", **{"for": "PT1H"})
    found = {alert["kind"]: alert["silenced"] for alert in open_alerts(rig)}
    assert found == {"agent_offline": False, "backup_failed": True}


def test_acknowledged_stays_silenced_and_still_ends() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    silence(rig)
    rig.ask("acknowledge", alert_id=open_alerts(rig)[0]["id"])
    assert is_silenced(rig) == [True]
    rig.advance(HOUR)
    assert rig.last(AlertUnsilenced).alert.state == "acknowledged"


NOW = {"from": to_rfc3339(START), "to": to_rfc3339(START + HOUR)}


@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        pytest.param({"for": "PT1H"}, BadInput, "a host, a tag or a kind", id="everything"),
        pytest.param({"host_id": "h1"}, BadInput, "until when, or for how long", id="open-ended"),
        pytest.param({"host_id": "h1", "for": "PT1H", **NOW}, BadInput, "one of the two", id="2"),
        pytest.param({"host_id": "h1", "for": "-PT1H"}, BadInput, "end after", id="backwards"),
        pytest.param({"host_id": "h1", "for": "PT0S"}, BadInput, "end after", id="no time"),
        pytest.param({"host_id": "h1", "for": "P367D"}, BadInput, "366 days at most", id="long"),
        pytest.param(
            {"host_id": "h1", "from": "9999-12-31T00:00:00Z", "for": "P300D"}, BadInput,
            "within 366 days", id="beyond the calendar",
        ),
        pytest.param(
            {"host_id": "h1", "to": to_rfc3339(START - HOUR)}, BadInput, "end after", id="past"
        ),
        pytest.param(
            {"host_id": "h1", "from": to_rfc3339(START - DAY), "to": to_rfc3339(START)}, BadInput,
            "in the future", id="past, with its begin",
        ),
        pytest.param({"host_id": "h9", "for": "PT1H"}, HostNotFound, "the id h9", id="unknown"),
        pytest.param({"tag": " ", "for": "PT1H"}, BadInput, "a tag must have 1", id="empty tag"),
        pytest.param({"tag": "x" * 65, "for": "PT1H"}, BadInput, "1 to 64", id="long tag"),
        pytest.param({"tag": "a,b", "for": "PT1H"}, BadInput, "comma", id="two tags"),
        pytest.param({"tag": "a\nb", "for": "PT1H"}, BadInput, "control", id="two lines"),
        pytest.param({"tag": "a\u202eb", "for": "PT1H"}, BadInput, "control", id="backward text"),
        pytest.param(
            {"tag": "a", "for": "PT1H", "reason": "x" * 201}, BadInput, "a reason must", id="reason"
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(
    wanted: dict[str, Any], error: type[DormiceError], said: str
) -> None:
    rig = alerting()
    with pytest.raises(error, match=said):
        rig.ask("create_silence", **wanted)
    assert rig.ask("list_silences") == []
    assert rig.of(Audit) == []


def test_a_removed_host_is_unknown() -> None:
    rig = alerting()
    rig.publish(HostRemoved(host_id="h1", record=record(version=2, removed=True)))
    with pytest.raises(HostNotFound):
        silence(rig)


def test_odd_tags_are_tags() -> None:
    rig = alerting()
    for text, tag in (("ÉTÉ 2026", "été-2026"), ("☕", "☕"), ("'; --", "';---")):
        assert rig.ask("create_silence", tag=text, **{"for": "PT1H"})["tag"] == tag


def test_who_may_what_and_the_audit() -> None:
    rig = alerting()
    roles = {name: verb.role for name, verb in silence_requests.VERBS.items()}
    assert roles == {
        "create_silence": "operator", "end_silence": "operator", "get_silence": "viewer",
        "list_silences": "viewer",
    }  # fmt: skip
    made = rig.ask("create_silence", host_id="h1", reason=" new disks ", **{"for": "PT1H"})
    audit = rig.last(Audit)
    assert (audit.action, audit.target, audit.host_id) == ("silence.created", made["id"], "h1")
    assert audit.after is not None
    assert made == {**audit.after, "state": "active"}
    assert made | {"id": ""} == {
        "id": "", "host_id": "h1", "tag": None, "kind": None, "reason": "new disks",
        "from": to_rfc3339(START), "to": to_rfc3339(START + HOUR), "created_at": to_rfc3339(START),
        "created_by": "ada", "ended_at": None, "ended_by": None, "state": "active", "weekly": None,
    }  # fmt: skip
    assert rig.ask("get_silence", silence_id=made["id"]) == made
    ended = rig.ask("end_silence", silence_id=made["id"])
    assert (ended["state"], ended["ended_by"]) == ("over", "ada")
    assert rig.last(Audit).action == "silence.ended"
    with pytest.raises(Conflict, match="ada ended it"):
        rig.ask("end_silence", silence_id=made["id"])
    for verb in ("end_silence", "get_silence"):
        with pytest.raises(NotFound):
            rig.ask(verb, silence_id="nothing")


def test_list_with_and_without_those_that_are_over() -> None:
    rig = alerting()
    first, second = silence(rig), silence(rig, kind="agent_offline", **{"for": "P1D"})
    later = silence(rig, tag="lab", **{"from": to_rfc3339(START + DAY), "for": "PT1H"})
    rig.advance(HOUR)
    found = rig.ask("list_silences")
    assert [(one["id"], one["state"]) for one in found] == [
        (later, "scheduled"), (second, "active"), (first, "over"),
    ]  # fmt: skip
    assert [one["id"] for one in rig.ask("list_silences", over=False)] == [later, second]
    with pytest.raises(Conflict, match="over already"):
        rig.ask("end_silence", silence_id=first)


def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence_requests, "MOST_CURRENT", 2)
    rig = alerting()
    first = silence(rig)
    silence(rig)
    with pytest.raises(Conflict, match="2 silences already"):
        silence(rig)
    rig.ask("end_silence", silence_id=first)
    silence(rig)


def test_what_comes_again_changes_nothing() -> None:
    rig = silent_server()
    rig.advance(HOUR)
    made = silence(rig)
    silenced, created = rig.last(AlertSilenced), rig.last(Audit)
    rig.ask("end_silence", silence_id=made)
    before = open_alerts(rig)
    rig.publish(silenced, created)
    assert open_alerts(rig) == before
    assert rig.ask("get_silence", silence_id=made)["state"] == "over"


def test_r19_a_rebuild_knows_the_same_silences_and_what_they_cover() -> None:
    rig = silent_server()
    rig.publish(failed(rig.now))
    rig.advance(HOUR)
    silence(rig, kind="agent_offline", **{"for": "P1D"})
    ended = silence(rig, kind="backup_failed", **{"for": "P1D"})
    rig.ask("end_silence", silence_id=ended)
    again = replayed(rig)
    assert again.ask("list_silences") == rig.ask("list_silences")
    assert is_silenced(again) == is_silenced(rig) == [True, False]


def test_with_a_lost_file_nothing_is_silenced_for_ever() -> None:
    """Silences are in no bucket: what they covered is told again rather than never."""
    rig = silent_server()
    rig.advance(HOUR)
    silence(rig)
    rig.db.execute("DELETE FROM silence")
    rig.lose_log("alerting", rig.buckets)
    rig.settle()
    assert is_silenced(rig) == [False]


NIGHTLY_WINDOW = {"days": ["mon", "tue", "wed"], "from": "10:00", "to": "12:00", "timezone": "UTC"}


def test_a_weekly_silence_comes_and_goes_until_it_is_ended() -> None:
    rig = silent_server()
    made = rig.ask("create_silence", host_id="h1", weekly=NIGHTLY_WINDOW, until_ended=True)
    assert (made["state"], made["to"], made["weekly"]) == ("scheduled", None, NIGHTLY_WINDOW)
    advance_to(rig, START + HOUR - TICK)
    assert (is_silenced(rig), changes(rig)) == ([False], [])
    rig.advance(TICK)
    assert (is_silenced(rig), changes(rig)) == ([True], ["AlertSilenced"])
    assert rig.ask("get_silence", silence_id=made["id"])["state"] == "active"
    rig.advance(2 * HOUR - TICK)
    assert is_silenced(rig) == [True]
    rig.advance(TICK)
    assert changes(rig) == ["AlertSilenced", "AlertUnsilenced"]
    rig.advance(6 * DAY)
    assert changes(rig) == ["AlertSilenced", "AlertUnsilenced"] * 3
    rig.advance(DAY - 2 * HOUR)
    assert is_silenced(rig) == [True]
    rig.ask("end_silence", silence_id=made["id"])
    assert (is_silenced(rig), len(changes(rig))) == ([False], 8)
    rig.advance(30 * DAY)
    assert len(changes(rig)) == 8


def test_a_weekly_silence_is_known_to_a_rebuild_and_says_until_when() -> None:
    rig = silent_server()
    rig.ask("create_silence", host_id="h1", weekly=NIGHTLY_WINDOW, until_ended=True)
    rig.advance(2 * HOUR)
    new = replayed(rig)
    assert is_silenced(new) == [True]
    new.advance(DAY)
    assert changes(new) == ["AlertUnsilenced", "AlertSilenced"]
    texts = [text for (text,) in rig.db.execute("SELECT text FROM decision ORDER BY row_id")]
    assert any("until it is ended, mon, tue, wed 10:00–12:00 UTC" in text for text in texts)
    assert any("nobody is told before 2026-06-15T12:00:00" in text for text in texts)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"until_ended": True}, "only a weekly silence"),
        ({"until_ended": True, "for": "PT1H"}, "only a weekly silence"),
        ({"weekly": NIGHTLY_WINDOW}, "say until when"),
        ({"weekly": NIGHTLY_WINDOW, "until_ended": True, "for": "PT1H"}, "one of the two"),
        ({"weekly": NIGHTLY_WINDOW, "until_ended": True, "to": START + DAY}, "one of the two"),
        ({"weekly": NIGHTLY_WINDOW, "to": START + 367 * DAY}, "366 days at most"),
    ],
)
def test_a_weekly_silence_is_never_open_ended_by_accident(
    wanted: dict[str, Any], said: str
) -> None:
    rig = alerting()
    with pytest.raises(BadInput) as refused:
        rig.ask("create_silence", host_id="h1", **wanted)
    assert said in refused.value.message
