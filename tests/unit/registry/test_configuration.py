"""Schedules and source groups: what is accepted, what is refused, and what the agent is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.cron import BadCron
from libs.common.errors import BadInput, Conflict, NotFound
from libs.common.events.host import CatchUp, HostChanged, HostRecord
from libs.common.testing.rig import Rig
from services.registry import checks
from tests.unit.registry.rigging import actions, enrolled, hello, make_rig


def record_of(rig: Rig, host_id: str) -> HostRecord:
    record: HostRecord = rig.ask("get_host", host_id=host_id)
    return record


def with_group() -> tuple[Rig, str, str]:
    rig = make_rig()
    host_id = enrolled(rig)
    group = rig.ask("create_source_group", host_id=host_id, name="docs", includes=["/home"])
    return rig, host_id, group.id


def test_a_source_group_lives() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    group = rig.ask(
        "create_source_group", host_id=host_id, name="docs", includes=["/home", "C:\\Users"],
        excludes=["*.tmp"], retention={"keep_daily": 7, "keep_within": "1y6m"}, retry_max=2,
        hooks={"before": ["/bin/sync"], "after": "true"},
    )  # fmt: skip
    assert record_of(rig, host_id).source_groups == (group,)
    assert rig.last(HostChanged).changed == ("source_groups",)
    changed = rig.ask("patch_source_group", host_id=host_id, id=group.id, retention=None, name="x")
    assert (changed.retention, changed.name, changed.includes) == (None, "x", group.includes)
    assert rig.ask("delete_source_group", host_id=host_id, id=group.id) == changed
    record = record_of(rig, host_id)
    assert (record.source_groups, record.config_version) == ((), 4)
    assert actions(rig)[-3:] == [
        f"source_group.{done}" for done in ("created", "updated", "deleted")
    ]


def test_a_schedule_lives() -> None:
    rig, host_id, group_id = with_group()
    schedule = rig.ask(
        "create_schedule", host_id=host_id, cron=" 0  2 * * * ", source_group_ids=[group_id] * 2,
        name="nightly", timezone="Europe/Paris",
    )  # fmt: skip
    assert schedule.cron == "0 2 * * *"
    assert schedule.source_group_ids == (group_id,)
    assert (schedule.enabled, schedule.catch_up) == (True, CatchUp.LATEST_ONCE)
    changed = rig.ask(
        "patch_schedule", host_id=host_id, id=schedule.id, enabled=False, catch_up="off",
        timezone=None, source_group_ids=[],
    )  # fmt: skip
    assert (changed.enabled, changed.catch_up, changed.timezone) == (False, CatchUp.OFF, None)
    assert changed.source_group_ids == ()
    assert record_of(rig, host_id).schedules == (changed,)
    assert rig.ask("delete_schedule", host_id=host_id, id=schedule.id) == changed
    assert record_of(rig, host_id).schedules == ()
    assert rig.last(HostChanged).record.config_version == 5
    assert actions(rig)[-3:] == [f"schedule.{done}" for done in ("created", "updated", "deleted")]


def test_r13_a_deleted_group_leaves_every_schedule_in_one_change() -> None:
    rig, host_id, group_id = with_group()
    rig.ask("create_schedule", host_id=host_id, cron="@daily", source_group_ids=[group_id])
    rig.ask("delete_source_group", host_id=host_id, id=group_id)
    told = rig.last(HostChanged)
    assert told.changed == ("schedules", "source_groups")
    assert told.record.schedules[0].source_group_ids == ()
    assert "schedules_lost_group" in rig.decisions("registry", host_id)


def test_a_patch_without_a_change_tells_nothing() -> None:
    rig, host_id, group_id = with_group()
    schedule = rig.ask("create_schedule", host_id=host_id, cron="@daily", source_group_ids=[])
    mark = len(rig.log)
    rig.ask("patch_source_group", host_id=host_id, id=group_id, includes=["/home"])
    rig.ask("patch_schedule", host_id=host_id, id=schedule.id, enabled=True, cron="@daily")
    assert len(rig.log) == mark


def test_an_unnamed_schedule_is_called_by_its_expression() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    schedule = rig.ask("create_schedule", host_id=host_id, cron="0 2 * * *", source_group_ids=[])
    assert schedule.name == "0 2 * * *"
    patched = rig.ask("patch_schedule", host_id=host_id, id=schedule.id, cron="0 3 * * *")
    assert patched.name == "0 3 * * *"
    rig.ask("patch_schedule", host_id=host_id, id=schedule.id, name="nightly")
    patched = rig.ask("patch_schedule", host_id=host_id, id=schedule.id, cron="0 4 * * *")
    assert (patched.name, patched.cron) == ("nightly", "0 4 * * *")


@pytest.mark.parametrize("cron", [
    "not a cron", "", "0 2 * *", "0 0 30 2 *", "61 * * * *", "* * * * * * *", "@reboot",
    "0 2 * * *\x00", "x" * 10_240,
])  # fmt: skip
def test_a_schedule_that_cannot_fire_is_refused(cron: str) -> None:
    rig, host_id, group_id = with_group()
    good = rig.ask("create_schedule", host_id=host_id, cron="@daily", source_group_ids=[group_id])
    before = record_of(rig, host_id)
    with pytest.raises(BadCron):
        rig.ask("create_schedule", host_id=host_id, cron=cron, source_group_ids=[group_id])
    with pytest.raises(BadCron):
        rig.ask("patch_schedule", host_id=host_id, id=good.id, cron=cron)
    assert record_of(rig, host_id) == before


@pytest.mark.parametrize("fields", [
    {"source_group_ids": ["nope"]}, {"timezone": "Mars/Base"}, {"timezone": ""},
    {"name": "x" * 65}, {"name": "a\nb"},
])  # fmt: skip
def test_a_schedule_with_bad_fields_is_refused(fields: dict[str, Any]) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    with pytest.raises(BadInput):
        rig.ask(
            "create_schedule",
            host_id=host_id,
            **{"cron": "@daily", "source_group_ids": [], **fields},
        )


@pytest.mark.parametrize("fields", [
    {"enabled": "yes"}, {"enabled": 1}, {"catch_up": "always"}, {"cron": 5}, {"cron": None},
    {"source_group_ids": "all"}, {"source_group_ids": [None]}, {"name": "\ud800"},
])  # fmt: skip
def test_a_schedule_of_wrong_types_is_refused(fields: dict[str, Any]) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    with pytest.raises(ValidationError):
        rig.ask(
            "create_schedule",
            host_id=host_id,
            **{"cron": "@daily", "source_group_ids": [], **fields},
        )


@pytest.mark.parametrize("fields", [
    {"includes": []}, {"includes": [""]}, {"includes": ["relative/path"]}, {"includes": ["-rf"]},
    {"includes": ["/a\x00b"]}, {"includes": ["/" + "x" * 4096]}, {"includes": ["/"] * 201},
    {"includes": ["~other"]}, {"includes": ["   "]}, {"name": ""}, {"name": "x" * 65},
    {"name": "a,b"}, {"name": "a\x07"}, {"name": "\u202egpj"}, {"excludes": [""]},
    {"excludes": ["x" * 4097]}, {"excludes": ["x"] * 201}, {"retry_max": -1}, {"retry_max": 101},
    {"retention": {"keep_forever": 1}}, {"retention": {"keep_daily": "7"}},
    {"retention": {"keep_daily": True}}, {"retention": {"keep_within": 5}},
    {"retention": {"keep_within": "soon"}}, {"retention": {"keep_daily": {"a": [1]}}},
    {"hooks": {"before": {"deep": {}}}}, {"hooks": {"Bad Name": "x"}}, {"hooks": {"before": []}},
    {"hooks": {"before": "x" * 4097}}, {"hooks": {"before": "a\x00"}},
    {"hooks": {"before": "\ud800"}},
    {"hooks": {"befor": "x"}}, {"hooks": {"before": 2**60}}, {"hooks": {"before": 1}},
    {"hooks": {"before": ["sleep", True]}},
])  # fmt: skip
def test_a_bad_source_group_is_refused_whole(fields: dict[str, Any]) -> None:
    rig, host_id, group_id = with_group()
    before, mark = record_of(rig, host_id), len(rig.log)
    with pytest.raises(BadInput):
        rig.ask(
            "create_source_group", host_id=host_id, **{"name": "new", "includes": ["/"], **fields}
        )
    with pytest.raises(BadInput):
        rig.ask("patch_source_group", host_id=host_id, id=group_id, **fields)
    assert record_of(rig, host_id) == before
    assert len(rig.log) == mark


@pytest.mark.parametrize("includes", [
    ["/"], ["/home/Ada Lovelace"], ["~"], ["~/Documents"], ["C:\\Users"], ["d:/data"],
    ["\\\\server\\share"], ["/дом"], ["/" + "x" * 4095],
])  # fmt: skip
def test_paths_that_are_absolute(includes: list[str]) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    group = rig.ask("create_source_group", host_id=host_id, name="документы", includes=includes)
    assert group.includes == tuple(includes)


def test_a_groups_name_is_unique_on_its_host() -> None:
    rig, host_id, group_id = with_group()
    with pytest.raises(Conflict):
        rig.ask("create_source_group", host_id=host_id, name="docs", includes=["/"])
    rig.ask("patch_source_group", host_id=host_id, id=group_id, name="docs")
    other = enrolled(rig, hostname="other")
    rig.ask("create_source_group", host_id=other, name="docs", includes=["/"])


def test_a_host_has_at_most_a_hundred_of_each() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    for number in range(100):
        rig.ask("create_source_group", host_id=host_id, name=f"g{number}", includes=["/"])
        rig.ask("create_schedule", host_id=host_id, cron="@daily", source_group_ids=[])
    with pytest.raises(Conflict):
        rig.ask("create_source_group", host_id=host_id, name="one more", includes=["/"])
    with pytest.raises(Conflict):
        rig.ask("create_schedule", host_id=host_id, cron="@daily", source_group_ids=[])


def test_a_record_always_fits_into_one_event() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    long = ["/" + "x" * 4000] * 60
    rig.ask("create_source_group", host_id=host_id, name="one", includes=long)
    with pytest.raises(BadInput, match="256 KiB"):
        rig.ask("create_source_group", host_id=host_id, name="two", includes=long)
    assert len(record_of(rig, host_id).source_groups) == 1


def test_a_full_record_still_learns_from_a_hello() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    free = checks.MAX_RECORD_BYTES - len(record_of(rig, host_id).model_dump_json())
    paths = ["/" + "x" * 2000] * ((free - 500) // 2004)
    rig.ask("create_source_group", host_id=host_id, name="one", includes=paths)
    free = checks.MAX_RECORD_BYTES - len(record_of(rig, host_id).model_dump_json())
    rest = ["/" + "x" * (free - 200)]
    rig.ask("create_source_group", host_id=host_id, name="two", includes=rest)
    rig.publish(hello(host_id, "s1", agent_version="v" * 64, os="o" * 32, arch="a" * 32))
    record = record_of(rig, host_id)
    assert record.agent_version == "v" * 64
    assert len(record.model_dump_json()) > checks.MAX_RECORD_BYTES


@pytest.mark.parametrize(("verb", "more"), [
    ("patch_schedule", {"enabled": False}), ("delete_schedule", {}),
    ("patch_source_group", {"name": "x"}), ("delete_source_group", {}),
])  # fmt: skip
def test_unknown_and_foreign_ids(verb: str, more: dict[str, Any]) -> None:
    rig, _, group_id = with_group()
    other = enrolled(rig, hostname="other")
    for item in ("nope", group_id):
        with pytest.raises(NotFound):
            rig.ask(verb, host_id=other, id=item, **more)
