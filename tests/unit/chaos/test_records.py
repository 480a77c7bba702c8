"""What `make chaos` counts must be able to disagree: every check, right and wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from libs.common.events.agent import AgentHello, AgentJobFinished
from libs.common.events.alert import (
    Alert,
    AlertKind,
    AlertRaised,
    AlertResolved,
    AlertState,
    Severity,
)
from libs.common.events.base import Envelope, Event
from libs.common.events.host import Dead
from libs.common.protocol import RunStatus
from libs.common.testing.rig import START
from libs.common.testing.webhook_receiver import Received
from tests.chaos.agent import ChaosAgent
from tests.chaos.ledger import Execution, Ledger
from tests.chaos.messages import judge_messages, untold_ends
from tests.chaos.observed import Log
from tests.chaos.receiver import Told
from tests.chaos.records import judge_log

SECOND = timedelta(seconds=1)


def logged(*events: Event) -> Log:
    return Log([Envelope(str(place), "", START, event) for place, event in enumerate(events)])


def an_alert(alert_id: str = "a1", host: str = "h1") -> Alert:
    return Alert(
        id=alert_id, host_id=host, kind=AlertKind.AGENT_OFFLINE, severity=Severity.WARNING,
        message="silent", state=AlertState.OPEN, raised_at=START, last_seen_at=START,
    )  # fmt: skip


def raised(alert_id: str = "a1") -> AlertRaised:
    return AlertRaised(alert=an_alert(alert_id))


def resolved(alert_id: str = "a1") -> AlertResolved:
    return AlertResolved(alert=an_alert(alert_id), reason="back")


def an_agent() -> ChaosAgent:
    return ChaosAgent("http://nowhere", "token", "h1", "laptop-1")


def judge(log: Log, agent: ChaosAgent) -> list[str]:
    return judge_log(log, [agent], clocks_right=True)


# -- the log ---------------------------------------------------------------------------------------


async def test_r18_an_acknowledged_report_and_a_welcome_must_be_in_the_log() -> None:
    agent = an_agent()
    agent.ledger.acknowledge({"type": "job_finished", "job_id": "j1", "seq": 1}, "S1")
    agent.ledger.sessions.append("S1")
    hello = AgentHello(host_id="h1", session="S1", gateway="gw-1")
    end = AgentJobFinished(
        host_id="h1", session="S1", job_id="j1", at=START, received_at=START,
        status=RunStatus.SUCCEEDED,
    )  # fmt: skip
    assert judge(logged(hello, end), agent) == []
    assert len(judge(logged(hello), agent)) == len(judge(logged(end), agent)) == 1


@pytest.mark.parametrize(("events", "wrong"), [
    pytest.param([raised(), resolved(), raised("a2")], 0, id="again after its end"),
    pytest.param([raised(), raised()], 0, id="the same fact twice"),
    pytest.param([raised(), raised("a2")], 1, id="two at once"),
    pytest.param([Dead(service="jobs", event_id="e", event_subject="s", seq=1, error="E")], 1,
                 id="an event that could not be applied"),
])  # fmt: skip
async def test_r7_raises_and_ends_take_turns(events: Sequence[Event], wrong: int) -> None:
    assert len(judge(logged(*events), an_agent())) == wrong


@pytest.mark.parametrize(("silence", "wrong"), [(15, 0), (10, 0), (8, 1), (0, 1)])
async def test_r5_nobody_is_told_of_who_was_answered(silence: int, wrong: int) -> None:
    agent = an_agent()
    agent.ledger.answered = [START - SECOND * silence, START + SECOND]
    assert len(judge(logged(raised()), agent)) == wrong


# -- the agents ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "job", "run", "wrong"), [
    pytest.param("failed", "j2", "r1", 0, id="after a failure"),
    pytest.param("succeeded", "j2", "r2", 0, id="another run"),
    pytest.param("succeeded", "j2", "r1", 1, id="after a success"),
    pytest.param("", "j2", "r1", 1, id="at once"),
    pytest.param("failed", "j1", "r1", 1, id="the same job"),
])  # fmt: skip
def test_r15_at_the_agent(first: str, job: str, run: str, wrong: int) -> None:
    ledger = Ledger()
    ended = START if first else None
    ledger.begin(Execution("j1", "r1", 1, START, ended=ended, status=first))
    ledger.begin(Execution(job, run, 2, START))
    assert len(ledger.violations) == wrong


# -- the messages ----------------------------------------------------------------------------------


def told(*what: tuple[str, str, str], refused: Sequence[int] = ()) -> list[Told]:
    """Return requests of (Dormice-Id, alert, event), those at `refused` not taken."""
    return [
        Told(place, Received("POST", "/", {"dormice-id": delivery}, json.dumps(
            {"event": event, "alerts": [{"id": alert}]}).encode()), place not in refused)
        for place, (delivery, alert, event) in enumerate(what)
    ]  # fmt: skip


RAISE, END = ("d1", "a1", "raised"), ("d2", "a1", "resolved")


@pytest.mark.parametrize(("requests", "kills", "wrong"), [
    pytest.param(told(RAISE, END), (), 0, id="once"),
    pytest.param(told(RAISE, RAISE), (1,), 0, id="again after a kill"),
    pytest.param(told(RAISE, RAISE), (), 1, id="again for nothing"),
    pytest.param(told(RAISE, RAISE), (0,), 1, id="killed before the first"),
    pytest.param(told(RAISE, RAISE, RAISE), (1,), 1, id="twice again after one kill"),
    pytest.param(told(RAISE, RAISE, refused=(0,)), (), 0, id="again after a refusal"),
    pytest.param(told(RAISE, refused=(0,)), (), 1, id="never taken"),
    pytest.param(told(RAISE, ("d9", "a1", "raised")), (), 1, id="under two ids"),
    pytest.param(told(END, RAISE), (), 1, id="the end first"),
    pytest.param(told(RAISE, ("d3", "a3", "raised")), (), 1, id="of nothing"),
    pytest.param([], (), 1, id="not at all"),
])  # fmt: skip
def test_messages(requests: list[Told], kills: tuple[int, ...], wrong: int) -> None:
    found = judge_messages(requests, kills, logged(raised()).events)
    assert len(found) == wrong, found


def test_an_end_is_told_where_the_beginning_was() -> None:
    events = logged(raised(), resolved()).events
    assert untold_ends(told(RAISE, END), events) == untold_ends([], events) == []
    assert len(untold_ends(told(RAISE), events)) == 1
