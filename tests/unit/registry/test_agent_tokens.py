"""Rotation of agent tokens: the old one ends with the first hello of the new one, or after 24 h."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.clock import TICK
from libs.common.errors import Conflict
from libs.common.events.host import SYSTEM, HostChanged
from libs.common.security import hash_token
from libs.common.testing.rig import Rig
from tests.unit.registry.rigging import actions, enroll, hello, make_rig, secrets

DAY = timedelta(hours=24)


def is_valid(rig: Rig, token: str) -> bool:
    """Say whether a token speaks for a host; bucket and verb must agree."""
    token_hash = hash_token(token)
    found = token_hash in rig.ask("find_tokens", SYSTEM, token_hashes=[token_hash])
    assert found == (hash_token(token) in rig.buckets["agent-tokens"])
    return found


def new_token_of(rig: Rig, host_id: str) -> str:
    token: str = secrets(rig, host_id)["agent_token"]
    return token


def test_a_rotation_hands_out_a_token_that_is_valid_beside_the_old_one() -> None:
    rig = make_rig()
    host_id, old = enroll(rig).values()
    assert secrets(rig, host_id)["agent_token"] is None
    answer = rig.ask("rotate_token", host_id=host_id)
    assert answer == {"token_version": 2, "old_valid_until": "2026-06-16T09:00:00Z"}
    new = new_token_of(rig, host_id)
    assert is_valid(rig, old)
    assert is_valid(rig, new)
    told = rig.last(HostChanged)
    assert told.changed == ("agent_token",)
    assert told.record.config_version == 2
    assert new == new_token_of(rig, host_id)


def test_the_first_hello_with_the_new_one_ends_the_old_one() -> None:
    rig = make_rig()
    host_id, old = enroll(rig).values()
    rig.ask("rotate_token", host_id=host_id)
    new = new_token_of(rig, host_id)
    rig.publish(hello(host_id, "s1", token_version=1))
    assert is_valid(rig, old)
    rig.publish(hello(host_id, "s2", token_version=2))
    assert not is_valid(rig, old)
    assert is_valid(rig, new)
    assert secrets(rig, host_id)["agent_token"] is None
    assert actions(rig)[-1] == "agent_token.confirmed"
    rig.advance(2 * DAY)
    assert is_valid(rig, new)
    assert "agent_token.expired" not in actions(rig)


@pytest.mark.parametrize(("after", "valid"), [(DAY - TICK, True), (DAY, False), (3 * DAY, False)])
def test_the_old_one_ends_after_24_hours(after: timedelta, valid: bool) -> None:
    rig = make_rig()
    host_id, old = enroll(rig).values()
    rig.ask("rotate_token", host_id=host_id)
    new = new_token_of(rig, host_id)
    rig.advance(after)
    assert is_valid(rig, old) is valid
    assert is_valid(rig, new)
    assert (actions(rig)[-1] == "agent_token.expired") is not valid


def test_an_agent_that_is_still_connected_then_can_yet_be_given_the_new_one() -> None:
    rig = make_rig()
    host_id, _ = enroll(rig).values()
    rig.ask("rotate_token", host_id=host_id)
    rig.advance(2 * DAY)
    new = new_token_of(rig, host_id)
    rig.publish(hello(host_id, "s1", token_version=2))
    assert is_valid(rig, new)


def test_rotating_again_never_lengthens_the_life_of_an_old_token() -> None:
    rig = make_rig()
    host_id, first = enroll(rig).values()
    rig.ask("rotate_token", host_id=host_id)
    second = new_token_of(rig, host_id)
    rig.advance(DAY / 2)
    rig.ask("rotate_token", host_id=host_id)
    third = new_token_of(rig, host_id)
    assert third != second
    rig.advance(DAY / 2)
    assert [is_valid(rig, token) for token in (first, second, third)] == [False, True, True]
    rig.advance(DAY / 2)
    assert [is_valid(rig, token) for token in (first, second, third)] == [False, False, True]


def test_a_repeated_hello_of_the_old_token_after_the_new_one_changes_nothing() -> None:
    rig = make_rig()
    host_id, old = enroll(rig).values()
    first = hello(host_id, "s1", token_version=1)
    rig.publish(first)
    rig.ask("rotate_token", host_id=host_id)
    new = new_token_of(rig, host_id)
    second = hello(host_id, "s2", token_version=2)
    rig.publish(second)
    rig.ask("rotate_token", host_id=host_id)
    third = new_token_of(rig, host_id)
    rig.redeliver([first, second])
    assert [is_valid(rig, token) for token in (old, new, third)] == [False, True, True]
    assert new_token_of(rig, host_id) == third
    assert actions(rig).count("agent_token.confirmed") == 1


@pytest.mark.parametrize("version", [0, 9, -1])
def test_a_version_that_was_never_given_ends_nothing(version: int) -> None:
    rig = make_rig()
    host_id, old = enroll(rig).values()
    rig.ask("rotate_token", host_id=host_id)
    rig.publish(hello(host_id, "s1", token_version=version))
    assert is_valid(rig, old)


def test_rotations_are_bounded() -> None:
    rig = make_rig()
    host_id, _ = enroll(rig).values()
    for _ in range(9):
        rig.ask("rotate_token", host_id=host_id)
    with pytest.raises(Conflict):
        rig.ask("rotate_token", host_id=host_id)
    rig.advance(DAY)
    rig.ask("rotate_token", host_id=host_id)
