"""The oracle of `make chaos` must be able to disagree: one host, shown right and shown wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.clock import to_rfc3339
from libs.common.testing.rig import START
from tests.chaos.agent import ChaosAgent
from tests.chaos.ledger import Execution
from tests.chaos.observed import Seen
from tests.chaos.oracle import Opinion, Oracle

NOW = START + timedelta(minutes=10)
CALM = START + timedelta(minutes=5)
Change = Callable[[ChaosAgent], None]


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def backed_up(agent: ChaosAgent, seconds: float, status: str = "succeeded") -> None:
    """It ran something that ended so long ago, and that is acknowledged."""
    one = Execution("j1", "r1", 1, ago(seconds + 1), ended=ago(seconds), status=status)
    one.acknowledged_at = one.ended
    agent.ledger.executions.append(one)
    agent.ledger.idle_since = one.ended


def shown(seconds: float | None = None, **fields: Any) -> dict[str, Any]:
    host = {"always_on": False, "status": "online", "display": "online", "catch_up": None,
            "last_seen_at": None, "last_backup_at": None}  # fmt: skip
    if seconds is not None:
        host["last_backup_at"] = to_rfc3339(ago(seconds))
    return host | fields


def connected(agent: ChaosAgent) -> None:
    agent.ledger.connected_at = ago(100)


def left(seconds: float) -> Change:
    def change(agent: ChaosAgent) -> None:
        agent.ledger.left_at = ago(seconds)
        agent.ledger.answered = [ago(seconds + 1)]

    return change


async def judge(
    host: dict[str, Any], *changes: Change, alerts: tuple[str, ...] = (), job: str = ""
) -> Opinion:
    agent = ChaosAgent("http://nowhere", "token", "h1", "laptop-1")
    for change in changes:
        change(agent)
    jobs = {"j1": {"id": "j1", "host_id": "h1", "status": job}} if job else {}
    seen = Seen({"h1": host}, Counter(("h1", kind) for kind in alerts), jobs,
                {"h1": list(jobs.values())})  # fmt: skip
    oracle = Oracle([agent], {"h1": {bool(host["always_on"])}}, CALM, [])
    return oracle.judge(seen, NOW)


AWAY = {"status": "offline", "display": "asleep", "last_seen_at": to_rfc3339(ago(100))}
SERVER_AWAY = AWAY | {"always_on": True, "display": "offline"}


@pytest.mark.parametrize(("host", "changes", "alerts"), [
    pytest.param(shown(), [connected], (), id="online"),
    pytest.param(shown(**AWAY), [left(100)], (), id="asleep"),
    pytest.param(shown(**SERVER_AWAY), [left(100)], ("agent_offline",), id="told of"),
])  # fmt: skip
async def test_what_is_right(host: dict[str, Any], changes: list[Change], alerts: Any) -> None:
    assert (await judge(host, *changes, alerts=alerts)).agrees


@pytest.mark.parametrize(("rule", "host", "changes", "alerts"), [
    pytest.param("R3", shown(**AWAY), [connected], (), id="it is connected"),
    pytest.param("R3", shown(), [left(100)], (), id="it is gone"),
    pytest.param("R2", shown(**AWAY | {"display": "offline"}), [left(100)], (), id="no laptop"),
    pytest.param("R5", shown(**SERVER_AWAY), [left(100)], (), id="nobody is told"),
    pytest.param("R5", shown(**AWAY), [left(100)], ("agent_offline",), id="told of a laptop"),
    pytest.param("R18", shown(**AWAY | {"last_seen_at": to_rfc3339(ago(85))}), [left(100)], (),
                 id="seen when it was gone"),
    pytest.param("R18", shown(**AWAY | {"last_seen_at": to_rfc3339(ago(120))}), [left(100)], (),
                 id="seen too long ago"),
    pytest.param("R12", shown(catch_up={"state": "waiting"}), [connected], (), id="stuck"),
])  # fmt: skip
async def test_what_is_wrong(
    rule: str, host: dict[str, Any], changes: list[Change], alerts: tuple[str, ...]
) -> None:
    wrong = (await judge(host, *changes, alerts=alerts)).wrong
    assert any(what.startswith(rule) for what in wrong), wrong


async def test_just_gone_is_undecided() -> None:
    opinion = await judge(shown(), left(2))
    assert opinion.undecided
    assert not opinion.wrong


@pytest.mark.parametrize(("seconds", "status", "shown_as", "alerts", "right"), [
    (60, "succeeded", "succeeded", (), True),
    (60, "succeeded", "running", (), False),
    (60, "succeeded", "", (), False),
    (60, "succeeded", "succeeded", ("backup_failed",), False),
    (60, "succeeded", "succeeded", ("stale_schedule",), False),
    (85, "succeeded", "succeeded", ("stale_schedule",), True),
    (85, "succeeded", "succeeded", (), False),
    (60, "failed", "failed", ("backup_failed",), True),
    (60, "failed", "failed", (), False),
])  # fmt: skip
async def test_jobs_and_what_follows(
    seconds: float, status: str, shown_as: str, alerts: tuple[str, ...], right: bool
) -> None:
    host = shown(seconds if status == "succeeded" else None)
    opinion = await judge(
        host, connected, lambda agent: backed_up(agent, seconds, status), alerts=alerts,
        job=shown_as,
    )  # fmt: skip
    assert opinion.agrees is right, opinion


async def test_an_old_backup_is_not_a_new_one() -> None:
    opinion = await judge(shown(30), connected, lambda agent: backed_up(agent, 60), job="succeeded")
    assert any(what.startswith("R9") for what in opinion.wrong)
