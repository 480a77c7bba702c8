"""What happens in the demonstration, and what must be seen after each step.

The fires are at full minutes, so the story begins 20 seconds before one: everyone has just been
backed up, the lids close, the minute passes, and who slept through it is overdue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cli.demo.world import World
from libs.common.clock import SystemClock
from libs.common.errors import DormiceError

POLL_SECONDS = 0.1
LEAD_SECONDS = 20
ASLEEP_SECONDS = 2
SLEPT_THROUGH_SECONDS = 4  # later than an awake agent would still run its fire by itself


class NotSeen(DormiceError):
    """Something that should have happened did not."""

    code = "not_seen"


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the story. `done` False: it is awaited."""

    text: str
    done: bool


Tell = Callable[[Told], None]
Check = Callable[[], Awaitable[Any]]


class Story:
    """Plays the story in a world and tells it. Raises NotSeen where it goes wrong."""

    def __init__(self, world: World, tell: Tell) -> None:
        self.world = world
        self._tell = tell

    async def play(self) -> None:
        await self._see("five hosts are enrolled and connected", self._all_online, 30)
        await self._see("first hello of the laptops: never backed up, so they catch up",
                        self._laptops_backed_up, 40)  # fmt: skip
        await self._wait_for_the_minute()
        await self._everyone_backed_up_again()
        await self._lids_close_and_a_server_dies()
        await self._a_laptop_wakes()
        await self._a_laptop_stays_away()
        await self._a_lid_closes_amid_a_run()
        await self._the_control_plane_dies()
        await self._the_server_returns()

    async def _see(self, text: str, check: Check, seconds: float) -> Any:
        """Wait until `check` answers something true; that is then told."""
        self._tell(Told(text, done=False))
        try:
            async with asyncio.timeout(seconds):
                while not (seen := await check()):
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise NotSeen(f"within {seconds:.0f} s this did not happen: {text}") from None
        self._tell(Told(text, done=True))
        return seen

    def _say(self, text: str) -> None:
        self._tell(Told(text, done=True))

    # --- the steps

    async def _wait_for_the_minute(self) -> None:
        self._say("schedules fire at each full minute (a day here): waiting for the eve of one")
        second = SystemClock().now().timestamp() % 60
        await asyncio.sleep((60 - LEAD_SECONDS - second) % 60)

    async def _everyone_backed_up_again(self) -> None:
        before = await self._last_backups()
        for name in self.world.members:
            await self._back_up(name)

        async def all_newer() -> bool:
            now = await self._last_backups()
            return all(now[name] and now[name] != before[name] for name in now)

        await self._see("an operator presses “Back up now” for all: restic runs on all five",
                        all_newer, 25)  # fmt: skip

    async def _lids_close_and_a_server_dies(self) -> None:
        self._say("anna and carl close their lids; web-1 loses its power")
        self.world.close_lid("laptop-anna")
        self.world.close_lid("laptop-carl")
        await self.world.kill_agent("web-1")
        await self._see("laptop-anna is shown asleep", self._shown("laptop-anna", "asleep"), 8)
        await self._see("web-1: agent_offline is raised", self._open("web-1", "agent_offline"), 20)
        await self._nobody_told_of_laptops("agent_offline")
        self._say("and nobody was told of the laptops")

    async def _a_laptop_wakes(self) -> None:
        await self._pass_the_minute()
        self.world.open_lid("laptop-anna")
        self._say("anna opens her lid; her fire at the minute was missed")
        await self._see("laptop-anna is online, the catch-up is armed and settles (3 s)",
                        self._settling("laptop-anna"), 10)  # fmt: skip
        await self._see("its catch-up ran: one run, succeeded", self._caught_up("laptop-anna"), 30)

    async def _pass_the_minute(self) -> None:
        second = SystemClock().now().timestamp() % 60
        if second > 60 - LEAD_SECONDS - 5:
            await asyncio.sleep(60 - second + SLEPT_THROUGH_SECONDS)

    async def _a_laptop_stays_away(self) -> None:
        await self._see("carl has been away for a week: stale_schedule is raised",
                        self._open("laptop-carl", "stale_schedule"), 60)  # fmt: skip
        self.world.open_lid("laptop-carl")
        await self._see("he returns, is backed up, and the alert resolves by itself",
                        self._resolved("laptop-carl", "stale_schedule"), 40)  # fmt: skip

    async def _a_lid_closes_amid_a_run(self) -> None:
        self.world.give_work("laptop-ben")
        job = await self._back_up("laptop-ben")
        await self._see("ben has much to back up: restic is in the middle of it",
                        self._job_is(job, "running"), 15)  # fmt: skip
        self.world.close_lid("laptop-ben")
        await self._see("he closes his lid in the middle of the run, and is shown asleep",
                        self._shown("laptop-ben", "asleep"), 8)  # fmt: skip
        await asyncio.sleep(ASLEEP_SECONDS)
        if not await self._job_is(job, "running")():
            raise NotSeen("the run that slept with its laptop was still to end")
        self.world.open_lid("laptop-ben")
        await self._see("he opens it: the same run goes on and succeeds, and none is made twice",
                        self._job_is(job, "succeeded"), 30)  # fmt: skip

    async def _the_control_plane_dies(self) -> None:
        for name in ("laptop-anna", "laptop-ben", "db-1"):
            await self._back_up(name)
        await asyncio.sleep(0.5)
        before = await self._memory()
        self._say("kill -9 of the whole control plane, bus and all, amid running backups")
        await self.world.kill_control_plane()
        await self.world.start_control_plane()
        await self._see("it is back, and all agents that are awake have reconnected",
                        self._awake_online, 25)  # fmt: skip
        after = await self._memory()
        lost = before - after
        if lost:
            raise NotSeen(f"after the restart this is missing: {sorted(lost)[:5]}")
        self._say("nothing is lost: every alert and every job is still there")
        await self._see("the interrupted moments ended well: every backup has its result",
                        self._no_job_open, 40)  # fmt: skip
        await self._nobody_told_of_laptops("agent_offline")
        await self._no_alert_about("db-1")
        self._say("and there was no false alert")

    async def _the_server_returns(self) -> None:
        await self.world.start_agent("web-1")
        await self._see("web-1 returns, and its alert resolves",
                        self._resolved("web-1", "agent_offline"), 20)  # fmt: skip

    # --- what can be seen

    async def _hosts(self) -> dict[str, dict[str, Any]]:
        return {host["name"]: host for host in (await self.world.get("/hosts"))["items"]}

    async def _back_up(self, name: str) -> str:
        """Ask for a backup and return the job's id."""
        member = self.world.members[name]
        asked = await self.world.post(
            f"/hosts/{member.host_id}/backup",
            {"source_group_id": member.group_id, "when_it_wakes": True},
        )
        return str(asked["job_id"])

    def _job_is(self, job_id: str, status: str) -> Check:
        async def job_is() -> bool:
            return bool((await self.world.get(f"/jobs/{job_id}"))["status"] == status)

        return job_is

    async def _last_backups(self) -> dict[str, str | None]:
        return {name: host["last_backup_at"] for name, host in (await self._hosts()).items()}

    async def _all_online(self) -> bool:
        hosts = await self._hosts()
        return len(hosts) == 5 and all(host["status"] == "online" for host in hosts.values())

    async def _awake_online(self) -> bool:
        hosts = await self._hosts()
        return all(host["status"] == "online" for name, host in hosts.items() if name != "web-1")

    async def _laptops_backed_up(self) -> bool:
        hosts = await self._hosts()
        return all(host["last_backup_at"] for name, host in hosts.items() if "laptop" in name)

    def _shown(self, name: str, display: str) -> Check:
        async def shown() -> bool:
            return bool((await self._hosts())[name]["display"] == display)

        return shown

    def _settling(self, name: str) -> Check:
        async def settling() -> bool:
            host = (await self._hosts())[name]
            return host["status"] == "online" and host["catch_up"] is not None

        return settling

    def _caught_up(self, name: str) -> Check:
        started = SystemClock().now().isoformat()

        async def caught_up() -> bool:
            jobs = await self._jobs(name)
            return any(
                job["origin"] == "catchup"
                and job["status"] == "succeeded"
                and (job["created_at"] or "") >= started[:19]
                for job in jobs
            )

        return caught_up

    def _open(self, name: str, kind: str) -> Check:
        async def is_open() -> bool:
            return bool(await self._alerts(name, kind, "open"))

        return is_open

    def _resolved(self, name: str, kind: str) -> Check:
        async def resolved() -> bool:
            return not await self._alerts(name, kind, "open") and bool(
                await self._alerts(name, kind, "resolved")
            )

        return resolved

    async def _alerts(self, name: str, kind: str, state: str) -> list[dict[str, Any]]:
        host = self.world.members[name].host_id
        found: list[dict[str, Any]] = (
            await self.world.get(f"/alerts?state={state}&host_id={host}&kind={kind}")
        )["items"]
        return found

    async def _jobs(self, name: str) -> list[dict[str, Any]]:
        host = self.world.members[name].host_id
        found: list[dict[str, Any]] = (await self.world.get(f"/jobs?host_id={host}"))["items"]
        return found

    async def _no_job_open(self) -> bool:
        ends = {"succeeded", "succeeded_with_warnings", "cancelled", "interrupted", "abandoned"}
        jobs = (await self.world.get("/jobs?limit=1000"))["items"]
        failed = [job for job in jobs if job["status"] == "failed"]
        if failed:
            raise NotSeen(f"a backup failed: {failed[0]['error']}")
        return all(job["status"] in ends for job in jobs)

    async def _memory(self) -> set[str]:
        """Return the ids of every alert and job."""
        alerts = (await self.world.get("/alerts?limit=1000"))["items"]
        jobs = (await self.world.get("/jobs?limit=1000"))["items"]
        return {item["id"] for item in (*alerts, *jobs)}

    async def _nobody_told_of_laptops(self, kind: str) -> None:
        alerts = (await self.world.get(f"/alerts?kind={kind}&limit=1000"))["items"]
        laptops = {m.host_id for m in self.world.members.values() if not m.always_on}
        if any(alert["host_id"] in laptops for alert in alerts):
            raise NotSeen(f"a laptop has an alert {kind}")

    async def _no_alert_about(self, name: str) -> None:
        for state in ("open", "resolved"):
            host = self.world.members[name].host_id
            if (await self.world.get(f"/alerts?state={state}&host_id={host}"))["items"]:
                raise NotSeen(f"{name} has an alert, and nothing ever happened to it")
