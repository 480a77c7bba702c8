"""What the gateway knows of hosts: their configuration, their tokens, that they are gone."""

from __future__ import annotations

import json

from libs.common.events.agent import AgentHello
from libs.common.events.host import SYSTEM, Audit, HostChanged
from libs.common.loop.tx import Tx
from libs.common.protocol import CloseCode, ConfigApplied
from services.gateway import store_hosts
from services.gateway.sessions import Accepted, Refused
from services.gateway.store_hosts import Token
from tests.unit.gateway.conftest import HOST, GatewayRig


def test_config_is_wanted_at_hello_when_behind(gw: GatewayRig) -> None:
    gw.enroll(version=3)
    assert gw.hello("s1", 1, config_version=3) == Accepted(behind=False)
    assert gw.hello("s2", 2, config_version=2) == Accepted(behind=True)
    assert gw.hello("s3", 3, config_version=4) == Accepted(behind=True)


def test_config_is_wanted_when_the_host_changes(gw: GatewayRig) -> None:
    gw.hello(config_version=0)
    assert gw.wanted() == []
    gw.enroll()
    assert gw.wanted() == ["s1"]
    gw.change(2, "schedules")
    assert gw.wanted() == ["s1", "s1"]
    gw.change(2, "schedules")
    assert gw.wanted() == ["s1", "s1"]


def test_what_the_agent_need_not_apply_is_not_sent(gw: GatewayRig) -> None:
    """Its hello itself may change the record, while it still applies what it was sent for that."""
    gw.enroll()
    gw.hello(config_version=0)
    record = gw.record(version=2, config_version=1, agent_version="2")
    gw.rig.publish(HostChanged(host_id=HOST, record=record, changed=("agent_version",)))
    assert gw.wanted() == []
    gw.advance(60)
    assert gw.wanted() == ["s1"]


def test_config_is_wanted_every_minute_while_behind(gw: GatewayRig) -> None:
    gw.enroll(version=2)
    gw.hello(config_version=1)
    gw.advance(59)
    gw.heard()
    assert gw.wanted() == []
    gw.advance(1)
    assert gw.wanted() == ["s1"]
    gw.frames(ConfigApplied(version=2, error="no such zone"))
    gw.heard()
    gw.advance(60)
    assert gw.wanted() == ["s1", "s1"]
    gw.frames(ConfigApplied(version=2))
    gw.heard()
    gw.advance(80)
    assert gw.wanted() == ["s1", "s1"]


def test_a_removed_host_is_closed_and_stays_out(gw: GatewayRig) -> None:
    gw.enroll()
    gw.hello()
    gw.remove()
    assert [(end.session, end.code) for end in gw.ended()] == [("s1", CloseCode.UNKNOWN_TOKEN)]
    refused = gw.hello("s2", 2)
    assert isinstance(refused, Refused)
    assert refused.code == CloseCode.UNKNOWN_TOKEN
    gw.change(10, "name")
    assert isinstance(gw.hello("s3", 3), Refused)
    gw.advance(500)
    assert [type(event) for event in gw.rig.log].count(AgentHello) == 1


# -- tokens ----------------------------------------------------------------------------------------


def put(gw: GatewayRig, token_hash: str, version: int) -> None:
    def work(tx: Tx) -> None:
        store_hosts.put_token(tx.db, token_hash, Token(HOST, version))

    gw.rig.input("gateway", work)


def known(gw: GatewayRig) -> set[str]:
    return {row[0] for row in gw.rig.db.execute("SELECT token_hash FROM token")}


def test_tokens_come_from_the_bucket(gw: GatewayRig) -> None:
    put(gw, "gone", 1)
    value = json.dumps({"host_id": HOST, "token_version": 2}).encode()
    buckets = {"agent-tokens": {"new": value}, "hosts": {}}
    gw.rig.input("gateway", lambda tx: gw.machine.load(tx, buckets))
    assert known(gw) == {"new"}


def test_r20_a_new_token_in_use_ends_the_older_ones(gw: GatewayRig) -> None:
    put(gw, "old", 1)
    put(gw, "new", 2)
    gw.foreign_hello("f1", 5, token_version=2)
    assert known(gw) == {"new"}


def test_r20_what_the_registry_ends_is_asked_again(gw: GatewayRig) -> None:
    gw.enroll()
    put(gw, "a", 1)
    gw.change(2, "agent_token")
    assert known(gw) == set()
    put(gw, "b", 1)
    gw.rig.publish(Audit(service="registry", target=HOST, action="agent_token.expired",
                         actor=SYSTEM, at=gw.now, host_id=HOST))  # fmt: skip
    assert known(gw) == set()
    put(gw, "c", 1)
    gw.change(3, "name")
    assert known(gw) == {"c"}
    gw.remove()
    assert known(gw) == set()
