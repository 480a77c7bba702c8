"""Sleep and metered networks, as logind and NetworkManager tell of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.protocol import ConfigApplied, Goodbye, GoodbyeReason, JobStarted, Power, Run
from libs.common.testing.system_bus import FakeSystemBus
from tests.integration.agent.conftest import Rig

QUIET = {"engine": "command", "command": "true {includes}"}
# Whoever waits for the backoff here waits far longer than a test does.
PATIENT = {**QUIET, "backoff_min": "10m", "backoff_max": "10m"}


@pytest.fixture
async def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeSystemBus]:
    async with FakeSystemBus(tmp_path / "bus", metered=1) as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield bus


async def test_goodbye_before_sleep_and_a_new_line_at_once_after(
    rig: Rig, bus: FakeSystemBus
) -> None:
    async with rig.agent(**PATIENT):
        line = await rig.ready()
        await asyncio.wait_for(bus.inhibited.wait(), 10)
        assert "Inhibit sleep Dormice agent says goodbye to the control plane delay" in bus.calls
        for _ in range(2):
            await bus.prepare_for_sleep()  # It returns when the agent lets the system sleep.
            assert [goodbye.reason for goodbye in line.seen(Goodbye)] == [GoodbyeReason.SLEEP]
            await bus.wake()
            line = await rig.gateway.welcomed()
            await asyncio.wait_for(bus.inhibited.wait(), 10)


async def test_a_running_job_stands_still_while_the_system_sleeps(
    rig: Rig, bus: FakeSystemBus, sleeper: str
) -> None:
    async with rig.agent(engine="command", command=sleeper):
        line = await rig.ready()
        await asyncio.wait_for(bus.inhibited.wait(), 10)
        await line.send(Run(job_id="job-1", source_group_id="group-1", config_version=1))
        await line.expect(JobStarted)
        await bus.prepare_for_sleep()
        await bus.wake()
        assert (await rig.gateway.welcomed()).hello.running == ["job-1"]


async def test_a_bus_that_goes_away_in_a_sleep_leaves_nobody_asleep(
    rig: Rig, bus: FakeSystemBus
) -> None:
    async with rig.agent(**PATIENT):
        await rig.ready()
        await asyncio.wait_for(bus.inhibited.wait(), 10)
        await bus.prepare_for_sleep()
        bus.hang_up()
        await rig.gateway.welcomed()


async def test_what_is_said_to_us_alone_is_not_logind(rig: Rig, bus: FakeSystemBus) -> None:
    """Any program may send us a signal; to all, only logind can in its name."""
    async with rig.agent(**QUIET):
        line = await rig.ready()
        await asyncio.wait_for(bus.inhibited.wait(), 10)
        await bus.whisper_sleep(":1.7")
        await bus.change_metered(2)
        assert (await line.expect(Power)).metered is False
        await line.send(rig.config(2))
        await line.expect(ConfigApplied)
        assert line.seen(Goodbye) == []


async def test_a_metered_network_is_told(rig: Rig, bus: FakeSystemBus) -> None:
    async with rig.agent(**QUIET) as agent:
        line = await rig.ready()
        async with asyncio.timeout(10):
            while agent.system.metered is None:
                await asyncio.sleep(0.02)
        if line.hello.metered is None:  # The bus answered after the hello.
            assert (await line.expect(Power)).metered is True
        await bus.change_metered(4)
        assert (await line.expect(Power)).metered is False
        await line.close(1001)
        assert (await rig.gateway.welcomed()).hello.metered is False


async def test_a_bus_without_these_services(rig: Rig, bus: FakeSystemBus) -> None:
    bus.metered = None
    async with rig.agent(**QUIET) as agent:
        line = await rig.ready()
        await asyncio.wait_for(bus.inhibited.wait(), 10)
        assert line.hello.metered is None
        await line.close(1001)
        assert (await rig.gateway.welcomed()).hello.metered is None
        assert agent.system.metered is None
