"""This agent with gateways of another build: older ones leave out fields, newer ones add some."""

from __future__ import annotations

import json
from typing import Any

from libs.common.protocol import (
    ConfigApplied,
    JobAccepted,
    JobDeclined,
    JobFinished,
    JobStarted,
    RunStatus,
)
from libs.common.testing.agent_gateway import Line, ScriptedGateway
from tests.contract.test_frames_v1 import GOLDEN
from tests.integration.agent.conftest import Rig

FUTURE = {"of_the_future": {"any": ["thing"]}}


def golden(kind: str, number: int = 0) -> dict[str, Any]:
    found = [frame for frame in GOLDEN["gateway"] if frame["type"] == kind]
    return dict(found[number])


async def say(line: Line, frame: dict[str, Any]) -> None:
    """Send a frame as it stands, whatever this build would make of it."""
    await line.socket.send(json.dumps(frame))


def config_of(rig: Rig) -> dict[str, Any]:
    config = golden("config", 1)
    (group,) = config["source_groups"]
    group |= {"includes": [str(rig.source)], "hooks": None}
    repository = {"url": str(rig.repository), "password": "pw", "environment": {}}
    return config | {"repository": repository, "agent_token": "agent-token"}


async def test_a_gateway_of_the_first_build(rig: Rig, gateway: ScriptedGateway) -> None:
    async with rig.agent():
        line = await gateway.accepted()
        assert line.hello.protocol == 1
        await say(line, golden("welcome"))
        await say(line, config_of(rig))
        assert (await line.expect(ConfigApplied)).error is None
        await say(line, golden("run") | {"source_group_id": "g"})
        assert (await line.expect(JobAccepted)).job_id == "j-1"
        await line.expect(JobStarted)
        assert (await line.expect(JobFinished)).status is RunStatus.SUCCEEDED
        for kind in ("beat", "ack", "hold", "cancel", "error"):
            await say(line, golden(kind))
        await say(line, golden("run", 1) | {"job_id": "j-2"})
        done = await line.expect(JobFinished)
        assert (done.job_id, done.status) == ("j-2", RunStatus.SUCCEEDED)
    assert len(gateway.lines) == 1, "nothing of it closed the line"


async def test_a_gateway_of_a_newer_build(rig: Rig, gateway: ScriptedGateway) -> None:
    async with rig.agent():
        line = await gateway.accepted()
        await say(line, {"type": "greeting_of_the_future"})
        await say(line, golden("welcome") | FUTURE)
        config = config_of(rig)
        for part in ("schedules", "source_groups"):
            config[part] = [one | FUTURE for one in config[part]]
        await say(line, config | FUTURE)
        await line.expect(ConfigApplied)
        await say(line, {"type": "frame_of_the_future", "job_id": "j-0"})
        await say(line, golden("run") | {"kind": "defragment"} | FUTURE)
        assert (await line.expect(JobDeclined)).reason == "unsupported_kind"
        run = golden("run") | FUTURE | {"job_id": "j-2", "kind": "snapshots"}
        await say(line, run | {"arguments": FUTURE})
        done = await line.expect(JobFinished)
        assert done.job_id == "j-2"
        assert done.error == "there is no repository at this place yet"
    assert len(gateway.lines) == 1, "nothing of it closed the line"
