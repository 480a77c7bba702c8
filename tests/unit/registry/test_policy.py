"""The registry's decisions as tables."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.clock import TICK
from libs.common.events.host import HostRecord, Schedule, SourceGroup, Thresholds
from libs.common.testing.rig import START
from services.registry import policy
from services.registry.policy import EnrollmentVerdict, ModeVerdict

RECORD = HostRecord(id="h1", name="web", enrolled_at=START, version=7, config_version=3)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("expires_at", "verdict"), [
    pytest.param(START + TICK, EnrollmentVerdict.VALID, id="one tick before its end"),
    pytest.param(START, EnrollmentVerdict.EXPIRED, id="exactly at its end"),
    pytest.param(START - HOUR, EnrollmentVerdict.EXPIRED, id="long over"),
    pytest.param(START + 2 * HOUR, EnrollmentVerdict.VALID, id="clock stepped back"),
    pytest.param(None, EnrollmentVerdict.UNKNOWN, id="no such token"),
])  # fmt: skip
def test_enrollment(expires_at: datetime | None, verdict: EnrollmentVerdict) -> None:
    assert policy.assess_enrollment(expires_at, START) is verdict


@pytest.mark.parametrize(("valid_until", "valid"), [
    (None, True), (START + TICK, True), (START, False), (START - TICK, False),
])  # fmt: skip
def test_agent_token_validity(valid_until: datetime | None, valid: bool) -> None:
    assert policy.is_token_valid(valid_until, START) is valid


@pytest.mark.parametrize(("versions", "used", "ended"), [
    pytest.param([1], 1, [], id="nothing rotated"),
    pytest.param([1, 2], 1, [], id="still the old one"),
    pytest.param([1, 2], 2, [1], id="the new one"),
    pytest.param([1, 2, 3], 2, [1], id="one between"),
    pytest.param([1, 2], 0, [], id="a gateway that does not say"),
    pytest.param([1, 2], 9, [], id="one that was never given"),
    pytest.param([], 1, [], id="no tokens"),
])  # fmt: skip
def test_replaced_versions(versions: list[int], used: int, ended: list[int]) -> None:
    assert policy.replaced_versions(versions, used) == ended


@pytest.mark.parametrize(("before", "after", "verdict"), [
    (True, False, ModeVerdict.CHANGED), (False, True, ModeVerdict.CHANGED),
    (True, True, ModeVerdict.SAME), (False, False, ModeVerdict.SAME),
])  # fmt: skip
def test_r8_only_another_mode_is_a_change(before: bool, after: bool, verdict: ModeVerdict) -> None:
    record = RECORD.model_copy(update={"always_on": before})
    assert policy.assess_mode(record, always_on=after) is verdict


def test_r1_a_host_is_always_on_unless_someone_says_otherwise() -> None:
    assert HostRecord(id="h", name="n", enrolled_at=START).always_on is True


@pytest.mark.parametrize(("wanted", "also", "config_version"), [
    pytest.param({"tags": ("a",)}, (), 3, id="tags"),
    pytest.param({"name": "db"}, (), 3, id="name"),
    pytest.param({"always_on": False}, (), 3, id="mode"),
    pytest.param({"os": "linux", "agent_version": "2"}, (), 3, id="facts"),
    pytest.param({"thresholds": Thresholds(stale_seconds=5)}, (), 3, id="thresholds"),
    pytest.param({"timezone": "Asia/Tokyo"}, (), 4, id="zone"),
    pytest.param({"timezone": "UTC"}, (), 3, id="the same zone"),
    pytest.param({"repository_id": "ab"}, ("repository",), 4, id="repository"),
    pytest.param({}, ("repository",), 4, id="only its password"),
    pytest.param({}, ("agent_token",), 4, id="token rotation"),
    pytest.param(
        {"schedules": (Schedule(id="s", name="n", cron="@daily"),)}, (), 4, id="schedules"
    ),
])  # fmt: skip
def test_config_version_grows_with_what_the_agent_must_apply(
    wanted: dict[str, Any], also: tuple[str, ...], config_version: int
) -> None:
    new = policy.next_record(RECORD, wanted, also)
    assert (new.version, new.config_version) == (8, config_version)


def test_deleting_a_group_takes_it_out_of_every_schedule() -> None:
    groups = tuple(SourceGroup(id=name, name=name, includes=("/",)) for name in "ab")
    schedules = (
        Schedule(id="s1", name="s1", cron="@daily", source_group_ids=("a", "b")),
        Schedule(id="s2", name="s2", cron="@daily", source_group_ids=("a",)),
    )
    record = RECORD.model_copy(update={"source_groups": groups, "schedules": schedules})
    changes = policy.without_group(record, "a")
    assert changes["source_groups"] == (groups[1],)
    assert [item.source_group_ids for item in changes["schedules"]] == [("b",), ()]


def test_repository_id_is_shared_by_equal_urls_only() -> None:
    salt = b"s" * 32
    one = policy.repository_id("sftp:host:/srv/restic", salt)
    assert one == policy.repository_id(" sftp:host:/srv/restic/ ", salt)
    assert one != policy.repository_id("sftp:host:/srv/other", salt)
    assert one != policy.repository_id("sftp:host:/srv/restic", b"t" * 32)


def test_tombstone_has_nothing_left_to_do() -> None:
    gone = policy.tombstone(RECORD.model_copy(update={"repository_id": "ab"}))
    assert (gone.removed, gone.version, gone.repository_id) == (True, 8, None)
    assert gone.name == "web"


@pytest.mark.parametrize(("text", "line"), [
    ("linux", "linux"), ("a\x00b\nc", "a b c"), ("x" * 99, "x" * 32), (" \t ", ""),
    ("\u202ex", "x"),
])  # fmt: skip
def test_one_line(text: str, line: str) -> None:
    assert policy.one_line(text, 32) == line
