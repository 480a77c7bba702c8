"""Hosts: reading, changing, removing, and the mode."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.errors import BadInput, HostNotFound
from libs.common.events.host import (
    SYSTEM,
    Audit,
    HostChanged,
    HostModeChanged,
    HostRecord,
    HostRemoved,
)
from services.registry.errors import NameTaken
from tests.unit.registry.rigging import actions, enroll, enrolled, facts_after, hello, make_rig


def test_r1_the_flag_is_seen_by_get_and_list() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    assert rig.ask("get_host", host_id=host_id).always_on is True
    answer = rig.ask("set_mode", host_id=host_id, always_on=False)
    assert answer.always_on is False
    assert rig.ask("get_host", host_id=host_id).always_on is False
    assert [record.always_on for record in rig.ask("list_hosts")] == [False]
    assert HostRecord.model_validate_json(rig.buckets["hosts"][host_id]).always_on is False


def test_r1_nothing_that_an_agent_says_changes_the_mode() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    rig.ask("set_mode", host_id=host_id, always_on=False)
    rig.publish(hello(host_id, "s1", os="darwin", agent_version="2"))
    assert rig.ask("get_host", host_id=host_id).always_on is False


def test_r8_only_a_real_change_is_told_but_each_save_is_audited() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    version = rig.ask("get_host", host_id=host_id).version
    for always_on in (True, False, False, True):
        rig.ask("set_mode", host_id=host_id, always_on=always_on)
    told = rig.of(HostModeChanged)
    assert [event.always_on for event in told] == [False, True]
    assert [event.record.version for event in told] == [version + 1, version + 2]
    assert {event.record.config_version for event in told} == {1}
    saves = [entry for entry in rig.of(Audit) if entry.action == "host.mode_updated"]
    assert [(entry.before, entry.after) for entry in saves] == [
        ({"always_on": before}, {"always_on": after})
        for before, after in [(True, True), (True, False), (False, False), (False, True)]
    ]
    assert not rig.of(HostChanged)
    assert rig.decisions("registry", host_id).count("host_mode_updated") == 4


@pytest.mark.parametrize("value", ["false", 0, 1, None, "", []])
def test_the_mode_is_a_strict_boolean(value: Any) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    with pytest.raises(ValidationError):
        rig.ask("set_mode", host_id=host_id, always_on=value)


def test_a_patch_changes_what_it_names() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    answer = rig.ask(
        "patch_host", host_id=host_id, name="desk", tags=["B", "a"],
        thresholds={"stale_seconds": 3600},
    )  # fmt: skip
    assert (answer.name, answer.tags) == ("desk", ("a", "b"))
    assert (answer.thresholds.stale_seconds, answer.thresholds.offline_seconds) == (3600, None)
    assert rig.last(HostChanged).changed == ("name", "tags", "thresholds")
    assert rig.last(HostChanged).record == answer
    answer = rig.ask("patch_host", host_id=host_id, thresholds={"offline_seconds": 120})
    assert (answer.thresholds.stale_seconds, answer.thresholds.offline_seconds) == (3600, 120)
    answer = rig.ask("patch_host", host_id=host_id, thresholds={"stale_seconds": None})
    assert (answer.thresholds.stale_seconds, answer.thresholds.offline_seconds) == (None, 120)
    answer = rig.ask("patch_host", host_id=host_id, thresholds=None)
    assert answer.thresholds.offline_seconds is None


def test_a_patch_without_a_change_tells_nothing() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    mark = len(rig.log)
    before = rig.ask("get_host", host_id=host_id)
    assert rig.ask("patch_host", host_id=host_id) == before
    assert rig.ask("patch_host", host_id=host_id, name=before.name, tags=[]) == before
    assert len(rig.log) == mark


@pytest.mark.parametrize("patch", [
    {"name": None}, {"name": "my laptop"}, {"name": "x" * 10_240}, {"name": "a\x00"},
    {"tags": None},
    {"tags": [""]}, {"timezone": "Nowhere"}, {"timezone": ""},
    {"thresholds": {"offline_seconds": 0}},
    {"thresholds": {"offline_seconds": -5}}, {"thresholds": {"stale_seconds": 10 * 365 * 86_400}},
    {"thresholds": {"stale_seconds": 2**80}},
])  # fmt: skip
def test_a_bad_patch_is_refused_whole(patch: dict[str, Any]) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    before, mark = rig.ask("get_host", host_id=host_id), len(rig.log)
    with pytest.raises(BadInput):
        rig.ask("patch_host", host_id=host_id, **{"tags": ["new"], **patch})
    assert rig.ask("get_host", host_id=host_id) == before
    assert len(rig.log) == mark


@pytest.mark.parametrize("patch", [
    {"thresholds": {"offline_seconds": True}}, {"thresholds": {"offline_seconds": "15m"}},
    {"thresholds": {"ofline_seconds": 5}}, {"tags": "paris"}, {"name": 7}, {"tags": [["deep"]]},
])  # fmt: skip
def test_wrong_types_are_refused(patch: dict[str, Any]) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    with pytest.raises(ValidationError):
        rig.ask("patch_host", host_id=host_id, **patch)


def test_names_are_unique_but_a_host_may_keep_its_own() -> None:
    rig = make_rig()
    one, two = enrolled(rig), enrolled(rig, hostname="desk")
    with pytest.raises(NameTaken) as refused:
        rig.ask("patch_host", host_id=two, name="Laptop-7")
    assert refused.value.fields["free_name"] == "laptop-7-2"
    assert rig.ask("patch_host", host_id=one, name="laptop-7", tags=["x"]).tags == ("x",)


def test_a_zone_that_an_operator_set_stays_until_it_is_given_back() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    answer = rig.ask("patch_host", host_id=host_id, timezone="Asia/Tokyo")
    assert (answer.timezone, answer.config_version) == ("Asia/Tokyo", 2)
    rig.publish(hello(host_id, "s1", timezone="America/New_York"))
    assert rig.ask("get_host", host_id=host_id).timezone == "Asia/Tokyo"
    assert "zone_kept" in rig.decisions("registry", host_id)
    answer = rig.ask("patch_host", host_id=host_id, timezone=None)
    assert (answer.timezone, answer.config_version) == ("America/New_York", 3)
    rig.publish(hello(host_id, "s2", timezone="Europe/Paris"))
    assert rig.ask("get_host", host_id=host_id).timezone == "Europe/Paris"


def test_removing_leaves_a_tombstone_and_ends_every_token() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    rig.ask("set_repository", host_id=host_id, url="/srv/restic", password="hush")
    rig.ask("rotate_token", host_id=host_id)
    mark = len(rig.log)
    assert rig.ask("remove_host", host_id=host_id) == {}
    assert facts_after(rig, mark) == [HostRemoved]
    stone = HostRecord.model_validate_json(rig.buckets["hosts"][host_id])
    assert stone.removed
    assert stone == rig.last(HostRemoved).record
    assert rig.buckets["agent-tokens"] == {}
    for table in ("agent_token", "repository", "hello", "deadline"):
        assert rig.db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert rig.ask("list_hosts") == []
    assert actions(rig)[-1] == "host.removed"


def test_a_removed_host_stays_removed() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    rig.ask("remove_host", host_id=host_id)
    mark = len(rig.log)
    rig.publish(hello(host_id, "s9", os="plan9"))
    assert len(rig.log) == mark + 1
    for verb, more in [
        ("get_host", {}), ("patch_host", {"name": "x"}), ("set_mode", {"always_on": False}),
        ("remove_host", {}), ("rotate_token", {}),
        ("set_repository", {"url": "/a", "password": "b"}),
        ("create_source_group", {"name": "n", "includes": ["/"]}),
        ("create_schedule", {"cron": "@daily", "source_group_ids": []}),
    ]:  # fmt: skip
        with pytest.raises(HostNotFound):
            rig.ask(verb, host_id=host_id, **more)
    assert rig.ask("secrets", SYSTEM, host_ids=[host_id]) == {}


@pytest.mark.parametrize("host_id", ["nobody", "../..", "a'; DROP TABLE host", "\x00", "ä"])
def test_unknown_ids(host_id: str) -> None:
    rig = make_rig()
    with pytest.raises(HostNotFound):
        rig.ask("get_host", host_id=host_id)


def test_hosts_are_listed_in_pages() -> None:
    rig = make_rig()
    ids = sorted(enroll(rig, hostname=f"web-{number}")["host_id"] for number in range(5))
    first = rig.ask("list_hosts", limit=2)
    rest = rig.ask("list_hosts", after=first[-1].id)
    assert [record.id for record in first + rest] == ids
