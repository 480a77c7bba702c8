"""A control plane moves to another directory by `backup-state` and `restore-state`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from libs.common.testing.agent_scripts import auto_succeed
from libs.common.testing.fake_agent import FakeAgent
from libs.common.testing.webhook_receiver import WebhookReceiver
from tests.integration.cli.conftest import Cli, running

PASSWORD = "correct horse battery"
REPOSITORY = {"url": "/srv/repo", "password": "hush-hush"}
CHANNEL_SECRET = "canary-31f8"
SETTINGS = {"DORMICE_ALLOW_TARGETS": "127.0.0.0/8"}


def address(cli: Cli, name: str) -> str:
    return (cli.data / f"{name}.url").read_text().strip()


class Api:
    """The API of the `up` beside `cli`, as the first admin."""

    def __init__(self, cli: Cli, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.AsyncClient(
            base_url=f"{address(cli, 'ui')}/api/v1", headers=headers, timeout=20
        )

    async def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = await self.client.request(method, path, json=body or None)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None

    async def items(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask("GET", path))["items"]
        return found

    async def back_up(self, host: str) -> None:
        """Have the host back up, and wait until that is known."""
        (group,) = await self.items(f"/hosts/{host}/source-groups")
        asked = await self.ask("POST", f"/hosts/{host}/backup", source_group_id=group["id"])
        async with asyncio.timeout(20):
            while (await self.ask("GET", f"/jobs/{asked['job_id']}"))["status"] != "succeeded":
                await asyncio.sleep(0.05)


async def enroll(cli: Cli, api: Api) -> FakeAgent:
    made = await api.ask("POST", "/enrollment-tokens", always_on=False, tags=["paris"])
    agent = await FakeAgent.enroll(address(cli, "gateway"), made["token"], hostname="laptop-7")
    agent.script = auto_succeed
    await agent.connect()
    return agent


async def set_up(api: Api, host: str, hook: str) -> None:
    """Give it all that nothing but a backup brings back, and one backup of the host."""
    group = await api.ask("POST", f"/hosts/{host}/source-groups", name="home", includes=["/home"])
    await api.ask("POST", f"/hosts/{host}/schedules", cron="0 2 * * *",
                  source_group_ids=[group["id"]])  # fmt: skip
    await api.ask("PUT", f"/hosts/{host}/repository", **REPOSITORY)
    hook_config = {"url": hook, "secret": CHANNEL_SECRET}
    await api.ask("POST", "/channels", name="ops", kind="webhook", config=hook_config)
    await api.ask("POST", "/operators", name="ada", password=PASSWORD)
    await api.back_up(host)


async def until_applied(agent: FakeAgent, groups: list[str]) -> dict[str, Any]:
    """Return the configuration that the agent runs, once it has these source groups."""

    def present() -> dict[str, Any] | None:
        configs = agent.of("config")
        names = [one["name"] for one in configs[-1]["source_groups"]] if configs else None
        return configs[-1] if names == groups else None

    await agent.wait_until(lambda: present() is not None, f"groups {groups}")
    config = present()
    assert config is not None
    return config


async def test_a_control_plane_goes_on_in_another_directory(tmp_path: Path) -> None:
    """What was changed after the backup is undone, also where the agent has it already."""
    old, new = Cli(tmp_path / "old"), Cli(tmp_path / "new")
    archive = str(tmp_path / "state.tar.gz")
    async with WebhookReceiver() as receiver:
        with running(old, **SETTINGS):
            token = (old.data / "admin-token").read_text().strip()
            api = Api(old, token)
            agent = await enroll(old, api)
            await set_up(api, agent.host_id, receiver.url)
            before = await api.ask("GET", f"/hosts/{agent.host_id}")
            jobs = await api.items("/jobs")
            made = json.loads(await asyncio.to_thread(old.good, "backup-state", archive, "--json"))
            assert made["left_out"] == []  # Every file of a data directory is decided.
            await api.ask("POST", f"/hosts/{agent.host_id}/source-groups", name="later",
                          includes=["/later"])  # fmt: skip
            await until_applied(agent, ["home", "later"])
            await agent.disconnect()
            await api.client.aclose()
        said = await asyncio.to_thread(new.good, "restore-state", archive)
        assert said.endswith("next: dormice up\n")
        with running(new, **SETTINGS):
            api = Api(new, token)  # It is still the first admin's.
            assert await api.items("/jobs") == jobs
            await check_host(new, agent, api, before)
            await check_people(new, receiver, api)
            await agent.disconnect()
            await api.client.aclose()


async def check_host(cli: Cli, agent: FakeAgent, api: Api, before: dict[str, Any]) -> None:
    """The same agent, by its old token, is the same host, and gets its repository."""
    agent.url = f"{address(cli, 'gateway').replace('http', 'ws', 1)}/agent/v1"
    await agent.connect()
    config = await until_applied(agent, ["home"])
    assert REPOSITORY.items() <= config["repository"].items()
    async with asyncio.timeout(20):
        while (host := await api.ask("GET", f"/hosts/{agent.host_id}"))["status"] != "online":
            await asyncio.sleep(0.05)
    kept = ("name", "always_on", "tags", "last_backup_at")
    assert {name: host[name] for name in kept} == {name: before[name] for name in kept}
    assert (host["always_on"], host["tags"]) == (False, ["paris"])
    (schedule,) = await api.items(f"/hosts/{agent.host_id}/schedules")
    assert (schedule["cron"], schedule["enabled"]) == ("0 2 * * *", True)
    await api.back_up(agent.host_id)


async def check_people(cli: Cli, receiver: WebhookReceiver, api: Api) -> None:
    """The operator can log in, and the channel has its secret."""
    async with httpx.AsyncClient(base_url=address(cli, "ui"), timeout=20) as browser:
        wrong = await browser.post("/login", data={"username": "ada", "password": "no"})
        done = await browser.post("/login", data={"username": "ada", "password": PASSWORD})
        assert (wrong.status_code, done.status_code) == (401, 303)
        assert (await browser.get("/")).status_code == 200
    (channel,) = await api.items("/channels")
    receiver.received.clear()
    await api.ask("POST", f"/channels/{channel['id']}/test")
    await receiver.wait_for(1)
    assert [one.is_signed_with(CHANNEL_SECRET) for one in receiver.received] == [True]
