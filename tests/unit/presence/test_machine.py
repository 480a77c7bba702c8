"""Presence's machine, driven by events, beats and a clock that only we move."""

from __future__ import annotations

from libs.common.events.agent import OfflineReason
from libs.common.events.host import HostModeChanged
from libs.common.events.presence import PresenceOffline, PresenceOnline
from libs.common.testing.rig import START
from tests.unit.presence.kit import (
    MINUTE,
    OFFLINE_AFTER,
    hello,
    offline,
    presence,
    record,
    session_of,
    states,
)


def test_r3_online_by_hello_offline_by_the_end_of_the_session() -> None:
    rig = presence()
    assert session_of(rig)["status"] == "never_seen"
    rig.publish(hello())
    assert rig.last(PresenceOnline).since == START
    rig.advance(OFFLINE_AFTER)
    rig.publish(offline(START))
    told = rig.last(PresenceOffline)
    assert (told.since, told.last_seen) == (START + OFFLINE_AFTER, START)
    assert session_of(rig)["status"] == "offline"
    assert states(rig) == [("online", "heartbeat_timeout"), ("offline", None)]


def test_r3_a_goodbye_counts_at_once() -> None:
    rig = presence()
    rig.publish(hello())
    rig.advance(MINUTE)
    rig.publish(offline(rig.now, reason=OfflineReason.SLEEP))
    assert rig.last(PresenceOffline).since == rig.now
    assert rig.last(PresenceOffline).reason is OfflineReason.SLEEP


def test_r3_a_late_message_of_an_older_connection_changes_nothing() -> None:
    rig = presence()
    rig.publish(hello(session="s2", connection=2))
    rig.publish(hello(session="s1", connection=1))
    rig.publish(offline(START, session="s1"))
    assert session_of(rig)["session"] == "s2"
    assert session_of(rig)["status"] == "online"
    assert not rig.of(PresenceOffline)
    assert "hello_ignored" in rig.decisions("presence", "h1")


def test_r3_so_many_hellos_are_remembered() -> None:
    rig = presence()
    rig.publish(*(hello(session=f"s{number}", connection=number) for number in range(1, 204)))
    known = rig.db.execute("SELECT session FROM known_session ORDER BY row_id").fetchall()
    assert [session for (session,) in known] == [f"s{number}" for number in range(4, 204)]


def test_r3_without_a_counter_the_log_decides_but_not_for_a_repeated_hello() -> None:
    rig = presence()
    first, second = hello(session="s1", connection=None), hello(session="s2", connection=7)
    rig.publish(first, second)
    assert session_of(rig)["session"] == "s2"
    rig.redeliver([first])
    assert session_of(rig)["session"] == "s2"


def test_r3_the_same_hello_and_the_same_end_again() -> None:
    rig = presence()
    end = offline(START, reason=OfflineReason.SLEEP)
    rig.publish(hello(), end)
    rig.redeliver([hello()])
    assert session_of(rig)["status"] == "offline"
    rig.publish(hello(session="s2", connection=2))
    rig.redeliver([end, hello()])
    assert session_of(rig)["status"] == "online"
    assert (len(rig.of(PresenceOnline)), len(rig.of(PresenceOffline))) == (2, 1)


def test_r3_a_newer_connection_takes_over_without_an_end() -> None:
    rig = presence()
    rig.publish(hello())
    rig.advance(MINUTE)
    rig.publish(hello(session="s2", connection=2))
    assert rig.last(PresenceOnline).session == "s2"
    assert rig.last(PresenceOnline).since == START  # It has been online all the time.
    assert states(rig) == [("online", None)]


def test_r2_the_mode_changes_nothing_about_being_offline() -> None:
    told = []
    for always_on in (True, False):
        rig = presence()
        changed = record(version=2, always_on=always_on)
        rig.publish(HostModeChanged(host_id="h1", record=changed, always_on=always_on))
        rig.publish(hello())
        rig.advance(OFFLINE_AFTER)
        rig.publish(offline(START))
        told.append(rig.last(PresenceOffline))
        assert rig.last(PresenceOffline).always_on is always_on
        assert rig.decisions("presence", "h1")[-1] == ("offline" if always_on else "asleep")
    assert told[0].model_copy(update={"always_on": False}) == told[1]
