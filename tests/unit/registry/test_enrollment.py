"""Enrollment: tokens of one use and one hour, names that are unique, and who may ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.clock import TICK
from libs.common.errors import BadInput, Forbidden, Unauthorized
from libs.common.events.host import SYSTEM, Audit, HostEnrolled
from libs.common.security import hash_token
from libs.common.testing.rig import START
from services.registry.errors import NameTaken
from tests.unit.registry.rigging import actions, enroll, enrolled, make_rig, new_token


def test_a_host_joins() -> None:
    rig = make_rig()
    answer = enroll(rig, hostname="Ada's Laptop")
    record = rig.last(HostEnrolled).record
    assert record.id == answer["host_id"]
    assert (record.name, record.timezone, record.version) == ("ada-s-laptop", "Europe/Berlin", 1)
    assert (record.os, record.arch, record.enrolled_at) == ("linux", "x86_64", START)
    token_hash = hash_token(answer["agent_token"])
    found = rig.ask("find_tokens", SYSTEM, token_hashes=["0" * 64, token_hash])
    assert found == {token_hash: {"host_id": record.id, "token_version": 1}}
    assert list(rig.buckets["agent-tokens"]) == [token_hash]
    assert list(rig.buckets["hosts"]) == [record.id]
    assert actions(rig) == ["enrollment_token.created", "host.enrolled"]
    assert "host_enrolled" in rig.decisions("registry", record.id)


def test_r1_mode_and_tags_come_with_the_token() -> None:
    rig = make_rig()
    token = new_token(rig, always_on=False, tags=["Paris"], name="desk")
    enroll(rig, token)
    record = rig.last(HostEnrolled).record
    assert (record.always_on, record.tags, record.name) == (False, ("paris",), "desk")
    enroll(rig, hostname="server")
    assert rig.last(HostEnrolled).record.always_on is True


def test_what_the_agent_asks_for_goes_before_the_tokens_name() -> None:
    rig = make_rig()
    enroll(rig, new_token(rig, name="desk"), name="attic")
    assert rig.last(HostEnrolled).record.name == "attic"


def test_a_token_admits_once() -> None:
    rig = make_rig()
    token = new_token(rig)
    enroll(rig, token)
    with pytest.raises(Unauthorized):
        enroll(rig, token, hostname="other")
    assert len(rig.of(HostEnrolled)) == 1


def test_a_token_admits_as_often_as_it_says() -> None:
    rig = make_rig()
    token = new_token(rig, uses=3)
    for number in range(3):
        enroll(rig, token, hostname=f"web-{number}")
    with pytest.raises(Unauthorized):
        enroll(rig, token, hostname="web-3")


@pytest.mark.parametrize(("after", "admitted"), [
    pytest.param(timedelta(hours=1) - TICK, True, id="one tick before its end"),
    pytest.param(timedelta(hours=1), False, id="exactly at its end"),
    pytest.param(timedelta(days=9), False, id="long over"),
])  # fmt: skip
def test_a_token_lasts_an_hour(after: timedelta, admitted: bool) -> None:
    rig = make_rig()
    token = new_token(rig)
    rig.advance(after)
    if admitted:
        enroll(rig, token)
    else:
        with pytest.raises(Unauthorized):
            enroll(rig, token)
        assert actions(rig)[-1] == "enrollment_token.expired"


def test_a_token_lasts_as_long_as_asked() -> None:
    rig = make_rig()
    answer = rig.ask("create_enrollment_token", expires_in_seconds=90)
    assert answer["expires_at"] == "2026-06-15T09:01:30Z"
    rig.advance(timedelta(seconds=90))
    with pytest.raises(Unauthorized):
        enroll(rig, answer["token"])


@pytest.mark.parametrize("token", ["", "x", "a" * 10_240, "\x00", "ключ", "\ud800"])
def test_an_unknown_token_admits_nobody(token: str) -> None:
    rig = make_rig()
    new_token(rig)
    with pytest.raises(Unauthorized):
        rig.ask("enroll", SYSTEM, token=token, hostname="h", os="", arch="", timezone="UTC")


def test_an_agent_token_is_no_enrollment_token() -> None:
    rig = make_rig()
    foreign = enroll(rig)["agent_token"]
    with pytest.raises(Unauthorized):
        enroll(rig, foreign, hostname="other")


def test_a_taken_name_offers_a_free_one_and_keeps_the_token_good() -> None:
    rig = make_rig()
    enroll(rig)
    token = new_token(rig)
    before = len(rig.log)
    with pytest.raises(NameTaken) as refused:
        enroll(rig, token)
    assert refused.value.code == "name_taken"
    assert refused.value.fields == {"free_name": "laptop-7-2"}
    assert len(rig.log) == before
    enroll(rig, token, name=refused.value.fields["free_name"])
    assert rig.last(HostEnrolled).record.name == "laptop-7-2"


def test_the_name_of_a_removed_host_is_free() -> None:
    rig = make_rig()
    rig.ask("remove_host", host_id=enrolled(rig))
    enroll(rig)
    assert rig.last(HostEnrolled).record.name == "laptop-7"


@pytest.mark.parametrize("facts", [
    {"hostname": ""}, {"hostname": "x" * 10_240}, {"name": "has blanks"}, {"name": ""},
    {"name": "x" * 10_240}, {"name": "\x00"}, {"name": "ноутбук"}, {"os": "x" * 33},
    {"arch": "a\nb"}, {"timezone": "Mars/Base"}, {"timezone": "localtime"},
    {"timezone": "../etc/passwd"},
    {"timezone": "x" * 10_240}, {"timezone": "\x00"},
])  # fmt: skip
def test_bad_input_is_refused_and_keeps_the_token_good(facts: dict[str, Any]) -> None:
    rig = make_rig()
    token = new_token(rig)
    with pytest.raises(BadInput):
        enroll(rig, token, **facts)
    enroll(rig, token)


@pytest.mark.parametrize("facts", [
    {"hostname": 7}, {"hostname": None}, {"os": ["linux"]}, {"name": {}}, {"hostname": "\ud800"},
])  # fmt: skip
def test_wrong_types_are_refused(facts: dict[str, Any]) -> None:
    rig = make_rig()
    with pytest.raises(ValidationError):
        enroll(rig, **facts)


@pytest.mark.parametrize("wanted", [
    {"uses": 0}, {"uses": 10_001}, {"uses": True}, {"uses": "2"}, {"always_on": "false"},
    {"always_on": 1}, {"expires_in_seconds": 0}, {"expires_in_seconds": float("nan")},
    {"expires_in_seconds": 1e12}, {"expires_in_seconds": "1h"}, {"tags": "paris"},
])  # fmt: skip
def test_wrong_wishes_for_a_token_are_refused(wanted: dict[str, Any]) -> None:
    rig = make_rig()
    with pytest.raises(ValidationError):
        new_token(rig, **wanted)


def test_null_means_the_default() -> None:
    rig = make_rig()
    token = new_token(rig, name=None, always_on=None, tags=None, expires_in_seconds=None, uses=None)
    enroll(rig, token, name=None)
    assert rig.last(HostEnrolled).record.always_on is True


def test_r20_only_services_enroll_and_find() -> None:
    rig = make_rig()
    answer = enroll(rig)
    with pytest.raises(Forbidden):
        rig.ask("enroll", token=new_token(rig), hostname="x", os="", arch="", timezone="UTC")
    with pytest.raises(Forbidden):
        rig.ask("find_tokens", token_hashes=[hash_token(answer["agent_token"])])


def test_r19_the_audit_log_says_which_token_admitted_whom() -> None:
    rig = make_rig()
    enroll(rig)
    made, joined = rig.of(Audit)
    assert joined.after is not None
    assert joined.after["enrollment_token_id"] == made.target
    assert joined.actor.kind == "agent"
    assert made.actor.name == "ada"
