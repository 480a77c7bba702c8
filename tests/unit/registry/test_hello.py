"""What the registry learns from a hello, once per session."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.events.host import HostChanged
from libs.common.testing.rig import Rig
from tests.unit.registry.rigging import enrolled, hello, make_rig


def host(rig: Rig, host_id: str) -> Any:
    return rig.ask("get_host", host_id=host_id)


def test_a_hello_tells_what_changed() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    rig.publish(hello(host_id, "s1", agent_version="1.2", os="darwin", timezone="Asia/Tokyo"))
    told = rig.last(HostChanged)
    assert told.changed == ("agent_version", "os", "timezone")
    assert told.record == host(rig, host_id)
    assert (told.record.os, told.record.arch) == ("darwin", "x86_64")
    assert told.record.timezone == "Asia/Tokyo"
    assert told.record.config_version == 2
    assert "host_facts_changed" in rig.decisions("registry", host_id)


def test_r19_the_first_hello_tells_its_version_and_a_later_one_another() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    rig.publish(hello(host_id, "s1", agent_version="1.2"))
    rig.publish(hello(host_id, "s2", agent_version="1.3", timezone="Asia/Tokyo"))
    found = rig.db.execute("SELECT text FROM decision WHERE what = 'host_facts_changed'")
    assert [text for (text,) in found] == [
        "its agent reports its version", "its agent reports another version, time zone"
    ]  # fmt: skip


def test_a_hello_with_nothing_new_tells_nothing() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    for session in ("s1", "s2", "s3"):
        rig.publish(hello(host_id, session))
    assert not rig.of(HostChanged)
    assert host(rig, host_id).version == 1


def test_what_a_minimal_agent_leaves_empty_stays() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    rig.publish(hello(host_id, "s1", os="", arch="", timezone="", agent_version=""))
    assert not rig.of(HostChanged)


@pytest.mark.parametrize("counters", [(7, 8), (None, None)], ids=["counted", "uncounted"])
def test_a_hello_that_comes_again_after_a_newer_one_changes_nothing(
    counters: tuple[int | None, int | None],
) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    old = hello(host_id, "s1", connection=counters[0], agent_version="1.0", timezone="Asia/Tokyo")
    new = hello(host_id, "s2", connection=counters[1], agent_version="2.0")
    rig.publish(old, new)
    record = host(rig, host_id)
    rig.redeliver([old, new, old])
    assert host(rig, host_id) == record
    assert record.agent_version == "2.0"
    assert len(rig.of(HostChanged)) == 2


def test_a_late_hello_of_an_older_connection_changes_nothing() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    rig.publish(hello(host_id, "s2", connection=8, agent_version="2.0"))
    rig.publish(hello(host_id, "s1", connection=7, agent_version="1.0"))
    assert host(rig, host_id).agent_version == "2.0"


def test_an_operators_change_stands_against_a_repeated_hello() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    said = hello(host_id, "s1", timezone="Asia/Tokyo")
    rig.publish(said)
    rig.ask("patch_host", host_id=host_id, timezone="Europe/Paris")
    rig.redeliver([said])
    assert host(rig, host_id).timezone == "Europe/Paris"


@pytest.mark.parametrize(
    "zone", ["Mars/Base", "x" * 256, "W. Europe Standard Time", "\x00", "../x"]
)
def test_an_unknown_zone_leaves_the_known_one(zone: str) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    for session in ("s1", "s2"):
        rig.publish(hello(host_id, session, timezone=zone))
    assert host(rig, host_id).timezone == "Europe/Berlin"
    assert rig.decisions("registry", host_id).count("zone_unknown") == 1
    assert rig.ask("patch_host", host_id=host_id, timezone=None).timezone == "Europe/Berlin"


def test_wild_text_is_stored_tame() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    rig.publish(hello(host_id, "s1", os="\x1b[31m" + "x" * 200, agent_version="1\n2"))
    record = host(rig, host_id)
    assert record.os == ("[31m" + "x" * 200)[:32]
    assert record.agent_version == "1 2"


def test_a_hello_of_an_unknown_host_is_nothing() -> None:
    rig = make_rig()
    rig.publish(hello("nobody", "s1"))
    assert len(rig.log) == 1


def test_only_the_last_sessions_are_kept() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    for number in range(40):
        rig.publish(hello(host_id, f"s{number}", connection=number))
        kept = [session for (session,) in rig.db.execute("SELECT session FROM hello")]
        assert set(kept) >= {f"s{one}" for one in range(max(0, number - 15), number + 1)}
        assert len(kept) < 32
