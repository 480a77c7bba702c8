"""What a command to an agent comes back with."""

from __future__ import annotations

import json
from typing import Any

from libs.common.bus.memory import MemoryBus
from libs.common.bus.memory_log import MemoryLog
from services.jobs.app import command_runner

PAYLOAD = {"gateway": "gw-1", "host_id": "h1", "session": "S1", "frame": {"type": "run"}}


async def outcomes(*answers: dict[str, Any]) -> list[dict[str, Any]]:
    """Send a command while nobody serves it, then one for each answer of the gateway."""
    bus = MemoryBus(MemoryLog(), "jobs")
    await bus.connect()
    send = command_runner(bus)
    found = [await send("j1", PAYLOAD)]
    asked: list[tuple[str, Any]] = []
    waiting = iter(answers)

    async def answer(subject: str, data: bytes) -> bytes:
        asked.append((subject, json.loads(data)))
        return json.dumps(next(waiting)).encode()

    await bus.serve("dormice-cmd.gw-1.*", answer)
    found += [await send("j1", PAYLOAD) for _ in answers]
    said = {"session": "S1", "frame": {"type": "run"}}
    assert asked == [("dormice-cmd.gw-1.h1", said)] * len(answers)
    await bus.close()
    return found


async def test_a_gateway_off_the_bus_is_unknown_what_it_answers_is_known() -> None:
    written, gone = {"ok": True}, {"ok": False, "reason": "not_connected"}
    unknown, *known = await outcomes(written, gone)
    assert "ok" not in unknown, "it may hold the socket still"
    assert known == [written, gone]
