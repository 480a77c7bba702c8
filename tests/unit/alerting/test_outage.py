"""Mass outages: the single alerts exist, somebody is told once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.agent import OfflineReason
from libs.common.events.alert import AlertKind, AlertRaised, AlertResolved
from libs.common.events.host import HostRemoved, Thresholds
from libs.common.testing.rig import Rig
from services.alerting.machine import AlertingMachine
from services.alerting.settings import AlertingSettings
from tests.unit.alerting.kit import (
    FLOOR,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    SECOND,
    START,
    advance_to,
    changed,
    enrolled,
    hello,
    laptop,
    listening,
    mode_changed,
    offline,
    open_alerts,
    open_kinds,
    raised,
    record,
    resolved,
    rules,
)


def fleet(count: int) -> Rig:
    """Return alerting with the servers s000, s001, … online."""
    rig = Rig(AlertingMachine(AlertingSettings.load()))
    rig.publish(listening(START))
    for host_id in ids(count):
        rig.publish(enrolled(host_id), hello(host_id))
    return rig


def ids(count: int) -> list[str]:
    return [f"s{number:03}" for number in range(count)]


def fall_silent(
    rig: Rig, hosts: list[str], apart: timedelta = timedelta(), session: str = "s1",
    reason: OfflineReason = OfflineReason.HEARTBEAT_TIMEOUT,
) -> None:  # fmt: skip
    """Hosts speak for the last time one after another, from now on, and are found offline."""
    begin = rig.now
    rig.advance(apart * len(hosts) + OFFLINE_AFTER)
    for place, host_id in enumerate(hosts):
        rig.publish(offline(begin + place * apart, host_id, session, reason))


def come_back(rig: Rig, *hosts: str, session: str = "s2") -> None:
    rig.publish(*(hello(host_id, session, connection=2) for host_id in hosts))


def held(rig: Rig) -> list[str]:
    singles = open_alerts(rig, kind="agent_offline", limit=1000)
    return sorted(alert["host_id"] for alert in singles if alert["held_by"])


def test_r5_five_of_ten_are_told_once() -> None:
    rig = fleet(10)
    fall_silent(rig, ids(5), apart=5 * SECOND)
    advance_to(rig, START + HOUR)
    (outage,) = raised(rig, AlertKind.FLEET_OUTAGE)
    assert outage.message == "5 of 10 always-on hosts went offline within 2m0s"
    assert (outage.host_id, outage.severity) == (None, "critical")
    assert outage.raised_at == START + FLOOR
    singles = raised(rig, AlertKind.AGENT_OFFLINE)
    assert [alert.host_id for alert in singles] == ids(5)
    assert {alert.held_by for alert in singles} == {outage.id}
    assert rig.of(AlertRaised)[0].alert == outage  # Whoever reads knows it before what it holds.
    assert "alert_held" in rig.decisions("alerting", "s000")


@pytest.mark.parametrize(
    ("online", "silent", "apart", "mass"),
    [
        pytest.param(10, 4, 0, False, id="fewer than five"),
        pytest.param(16, 5, 0, True, id="31 %"),
        pytest.param(17, 5, 0, False, id="29 %"),
        pytest.param(10, 5, 30, True, id="within two minutes of the first"),
        pytest.param(10, 5, 31, False, id="the fifth 4 s later"),
    ],
)
def test_r5_what_counts_as_mass(online, silent, apart, mass) -> None:
    rig = fleet(online)
    fall_silent(rig, ids(silent), apart=apart * SECOND)
    advance_to(rig, START + FLOOR)
    assert bool(raised(rig, AlertKind.FLEET_OUTAGE)) is mass
    assert len(raised(rig, AlertKind.AGENT_OFFLINE)) >= 1


@pytest.mark.parametrize("reason", ["sleep", "gateway_lost"])
def test_r5_some_ends_do_not_count(reason) -> None:
    rig = fleet(6)
    fall_silent(rig, ids(4))
    rig.publish(*(offline(START, host_id, reason=OfflineReason(reason)) for host_id in ids(6)[4:]))
    rig.advance(HOUR)
    assert raised(rig, AlertKind.FLEET_OUTAGE) == []
    assert len(raised(rig, AlertKind.AGENT_OFFLINE)) == 6


def test_r5_laptops_do_not_count() -> None:
    rig = fleet(4)
    for host_id in ("l1", "l2", "l3"):
        rig.publish(enrolled(host_id, always_on=False), hello(host_id))
    fall_silent(rig, [*ids(4), "l1", "l2", "l3"])
    rig.advance(HOUR)
    assert open_kinds(rig) == ["agent_offline"] * 4


def test_r5_laptops_are_no_part_of_the_share() -> None:
    rig = fleet(10)
    for number in range(10):
        rig.publish(enrolled(f"l{number}", always_on=False), hello(f"l{number}"))
    fall_silent(rig, ids(5))
    rig.advance(FLOOR)
    assert raised(rig, AlertKind.FLEET_OUTAGE)[0].message.startswith("5 of 10 ")


def test_r5_hosts_that_were_offline_before_are_no_part_of_the_share() -> None:
    rig = fleet(30)
    fall_silent(rig, ids(30)[6:], reason=OfflineReason.SLEEP)
    rig.advance(HOUR)
    fall_silent(rig, ids(5))
    rig.advance(FLOOR)
    assert raised(rig, AlertKind.FLEET_OUTAGE)[0].message.startswith("5 of 6 ")


def test_r5_hosts_that_came_after_it_are_no_part_of_the_share() -> None:
    rig = fleet(16)
    fall_silent(rig, ids(5))
    rig.advance(MINUTE)
    rig.publish(enrolled("s016"), hello("s016"))
    rig.advance(FLOOR)
    assert raised(rig, AlertKind.FLEET_OUTAGE)[0].message.startswith("5 of 16 ")


def test_r5_a_short_break_tells_nobody() -> None:
    rig = fleet(10)
    fall_silent(rig, ids(10))
    rig.advance(5 * MINUTE)
    come_back(rig, *ids(10))
    rig.advance(HOUR)
    assert raised(rig) == []


def test_r5_over_when_all_are_back() -> None:
    rig = fleet(10)
    fall_silent(rig, ids(10))
    rig.advance(FLOOR)
    come_back(rig, *ids(9))
    assert "fleet_outage" in open_kinds(rig)
    come_back(rig, "s009")
    assert resolved(rig)[-1] == ("fleet_outage", "all_returned")
    assert rig.last(AlertResolved).still_away == ()
    assert open_alerts(rig) == []
    ended = [e.alert for e in rig.of(AlertResolved) if e.alert.kind == "agent_offline"]
    assert all(alert.held_by for alert in ended)  # Held to the end: nobody was told of them.


def test_r5_over_when_few_are_away_and_none_returns_for_a_minute() -> None:
    rig = fleet(20)
    fall_silent(rig, ids(20))
    rig.advance(FLOOR)
    come_back(rig, *ids(18))
    rig.advance(50 * SECOND)
    come_back(rig, "s018")
    rig.advance(MINUTE - TICK)
    assert held(rig) == ["s019"]
    rig.advance(TICK)
    end = rig.last(AlertResolved)
    assert (end.reason, end.still_away) == ("few_away", ("s019",))
    (single,) = open_alerts(rig)
    assert (single["host_id"], single["held_by"]) == ("s019", None)
    assert b'"held_by":null' in rig.buckets["alerts"][single["id"]]
    assert "alert_released" in rig.decisions("alerting", "s019")


def test_r5_ten_percent_are_not_few() -> None:
    rig = fleet(20)
    fall_silent(rig, ids(20))
    rig.advance(FLOOR)
    come_back(rig, *ids(18))
    rig.advance(30 * MINUTE)
    assert held(rig) == ["s018", "s019"]
    assert "outage_goes_on" in rig.decisions("alerting", "fleet")


def test_r5_over_after_an_hour() -> None:
    rig = fleet(6)
    fall_silent(rig, ids(6))
    outage_at = START + FLOOR
    advance_to(rig, outage_at + HOUR - TICK)
    assert len(held(rig)) == 6
    rig.advance(TICK)
    end = rig.last(AlertResolved)
    assert (end.reason, end.still_away) == ("too_long", tuple(ids(6)))
    assert held(rig) == []
    assert open_kinds(rig) == ["agent_offline"] * 6
    rig.advance(HOUR)
    assert len(raised(rig, AlertKind.FLEET_OUTAGE)) == 1


def test_r5_a_member_that_leaves_again_is_held_again() -> None:
    rig = fleet(6)
    fall_silent(rig, ids(6))
    rig.advance(FLOOR)
    come_back(rig, "s000")
    fall_silent(rig, ["s000"], session="s2")
    rig.advance(FLOOR)
    assert len(held(rig)) == 6
    assert len(raised(rig, AlertKind.FLEET_OUTAGE)) == 1


def test_r8_a_member_that_may_sleep_now_is_nobodys_loss() -> None:
    rig = fleet(5)
    fall_silent(rig, ids(5))
    rig.advance(FLOOR)
    for host_id in ids(4):
        rig.publish(mode_changed(laptop(version=2, host_id=host_id)))
    assert held(rig) == ["s004"]
    rig.publish(HostRemoved(host_id="s004", record=record("s004", version=2, removed=True)))
    assert open_alerts(rig) == []
    assert resolved(rig)[-1] == ("fleet_outage", "all_returned")


def test_r8_all_may_sleep_now() -> None:
    rig = fleet(5)
    fall_silent(rig, ids(5))
    rig.advance(FLOOR)
    rig.publish(*(mode_changed(laptop(version=2, host_id=host_id)) for host_id in ids(5)))
    assert open_alerts(rig) == []


def test_r8_those_who_may_sleep_do_not_make_the_others_few() -> None:
    rig = fleet(20)
    fall_silent(rig, ids(20))
    rig.advance(FLOOR)
    rig.publish(*(mode_changed(laptop(version=2, host_id=host_id)) for host_id in ids(15)))
    come_back(rig, *ids(19)[15:])
    rig.advance(2 * MINUTE)
    assert held(rig) == ["s019"]


def test_r5_a_later_member_with_a_longer_floor_joins() -> None:
    rig = fleet(6)
    own = record("s005", version=2, thresholds=Thresholds(offline_seconds=1800))
    rig.publish(mode_changed(own))
    fall_silent(rig, ids(6))
    advance_to(rig, START + 30 * MINUTE)
    assert held(rig) == ids(6)
    assert len(raised(rig, AlertKind.FLEET_OUTAGE)) == 1


def test_r5_those_who_left_before_it_count_too() -> None:
    rig = fleet(6)
    own = record("s004", version=2, thresholds=Thresholds(offline_seconds=300))
    rig.publish(mode_changed(own))
    fall_silent(rig, ids(5), apart=10 * SECOND)
    advance_to(rig, START + 40 * SECOND + 5 * MINUTE)
    assert held(rig) == ["s004"]


def test_resolved_by_hand_releases_and_is_not_raised_again() -> None:
    rig = fleet(6)
    fall_silent(rig, ids(6))
    rig.advance(FLOOR)
    (outage,) = raised(rig, AlertKind.FLEET_OUTAGE)
    rig.ask("resolve", alert_id=outage.id)
    assert rig.last(AlertResolved).still_away == tuple(ids(6))
    assert held(rig) == []
    rig.advance(HOUR)
    assert open_kinds(rig) == ["agent_offline"] * 6


def test_two_hundred_at_once() -> None:
    rig = fleet(200)
    fall_silent(rig, ids(200), apart=SECOND / 8)
    rig.advance(HOUR / 2)
    assert len(raised(rig, AlertKind.FLEET_OUTAGE)) == 1
    assert len(held(rig)) == 200


# -- of a site -------------------------------------------------------------------------------------


def two_sites(berlin: int = 10, others: int = 40) -> Rig:
    """Return alerting with servers of site:berlin, and others elsewhere, all online."""
    rig = Rig(AlertingMachine(AlertingSettings.load()))
    rig.publish(listening(START))
    for place, host_id in enumerate(ids(berlin + others)):
        site = "site:berlin" if place < berlin else "site:paris"
        rig.publish(enrolled(host_id, tags=("prod", site)), hello(host_id))
    return rig


def test_r5_a_site_is_told_of_once_and_its_end_names_who_is_away() -> None:
    rig = two_sites()
    fall_silent(rig, ids(8), apart=SECOND)
    advance_to(rig, START + HOUR)
    (outage,) = raised(rig, AlertKind.FLEET_OUTAGE)
    assert outage.message == "8 of 10 always-on hosts of site:berlin went offline within 2m0s"
    assert (outage.host_id, outage.dedup_key) == (None, "site:berlin")
    assert held(rig) == ids(8)
    come_back(rig, *ids(7))
    rig.advance(2 * HOUR)
    end = next(e for e in rig.of(AlertResolved) if e.alert.kind is AlertKind.FLEET_OUTAGE)
    assert (end.alert.id, end.still_away) == (outage.id, ("s007",))
    assert held(rig) == []


def test_r5_the_fleet_wins_where_both_hold() -> None:
    rig = two_sites(berlin=10, others=10)
    fall_silent(rig, ids(8))
    advance_to(rig, START + HOUR)
    (outage,) = raised(rig, AlertKind.FLEET_OUTAGE)
    assert (outage.dedup_key, held(rig)) == ("", ids(8))


def test_r5_only_hosts_with_the_tag_count() -> None:
    rig = two_sites()
    fall_silent(rig, [*ids(4), *ids(50)[-3:]])
    advance_to(rig, START + HOUR)
    assert raised(rig, AlertKind.FLEET_OUTAGE) == []
    rig = fleet(50)
    for number, host_id in enumerate(ids(50)):
        tag = "prod" if number < 10 else "site:paris"
        rig.publish(changed(record(host_id, version=2, tags=(tag,))))
    fall_silent(rig, ids(8))
    advance_to(rig, START + HOUR)
    assert raised(rig, AlertKind.FLEET_OUTAGE) == []


def test_r5_a_fleets_outage_leaves_a_sites_own_hosts_to_it() -> None:
    rig = two_sites(berlin=10, others=30)
    rig.publish(rules(**{"site:berlin": (120, None)}))
    fall_silent(rig, ids(8))
    advance_to(rig, START + 2 * MINUTE)
    for host_id in ids(40)[10:34]:
        rig.publish(offline(START + 100 * SECOND, host_id))
    rig.advance(FLOOR)
    site, whole = raised(rig, AlertKind.FLEET_OUTAGE)
    assert whole.message == "32 of 40 always-on hosts went offline within 2m0s"
    assert (site.facts["hosts"], whole.facts["hosts"]) == (ids(8), ids(40)[10:34])
    assert (site.dedup_key, whole.dedup_key) == ("site:berlin", "")
    by = {alert["host_id"]: alert["held_by"] for alert in open_alerts(rig, kind="agent_offline",
                                                                      limit=1000)}  # fmt: skip
    assert {by[host_id] for host_id in ids(8)} == {site.id}
    assert {by[host_id] for host_id in ids(40)[10:34]} == {whole.id}


def test_r5_two_sites_at_once_are_two_outages() -> None:
    rig = Rig(AlertingMachine(AlertingSettings.load()))
    rig.publish(listening(START))
    for place, host_id in enumerate(ids(100)):
        site = ("site:berlin", "site:paris", "site:rome")[min(place // 7, 2)]
        rig.publish(enrolled(host_id, tags=(site,)), hello(host_id))
    fall_silent(rig, ids(14))
    advance_to(rig, START + HOUR)
    keys = [alert.dedup_key for alert in raised(rig, AlertKind.FLEET_OUTAGE)]
    assert keys == ["site:berlin", "site:paris"]
    assert held(rig) == ids(14)


def test_a_silence_of_the_site_covers_its_outage() -> None:
    rig = two_sites()
    rig.ask("create_silence", **{"tag": "site:berlin", "for": "PT10H"})
    fall_silent(rig, ids(8))
    advance_to(rig, START + HOUR)
    (outage,) = raised(rig, AlertKind.FLEET_OUTAGE)
    assert outage.silenced
    other = two_sites()
    other.ask("create_silence", **{"tag": "site:paris", "for": "PT10H"})
    fall_silent(other, ids(8))
    advance_to(other, START + HOUR)
    assert not raised(other, AlertKind.FLEET_OUTAGE)[0].silenced


def test_r18_a_rebuild_knows_a_sites_outage() -> None:
    rig = two_sites()
    fall_silent(rig, ids(8))
    rig.advance(FLOOR)
    new = Rig(AlertingMachine(AlertingSettings.load()), start=rig.now)
    new.cores["alerting"].step(rig.raw, now=rig.now)
    assert held(new) == ids(8)
    come_back(new, *ids(8))
    new.advance(2 * MINUTE)
    assert open_alerts(new) == []
