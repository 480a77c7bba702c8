"""What Dormice stands on is bad: its files, its disk, its bus, its settings.

A start that cannot be says so in one line and ends; what happens under way is survived.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from cli.services import NAMES, build, settings_class
from cli.system import System
from libs.common.errors import SettingsError, StoreBroken
from libs.common.testing.fake_agent import FakeAgent
from libs.common.testing.nats import NatsServer
from tests.integration.system.stack import Stack

START_SECONDS = 30


async def dormice(*arguments: str, **env: str) -> tuple[int | None, list[str]]:
    """Run a command that must end by itself; return its exit code and the lines of its stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", *arguments, env=os.environ | env,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(START_SECONDS):
            _, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, error.decode().strip().splitlines()


def on(nats: NatsServer, service: str) -> dict[str, str]:
    """Return the environment of a service on this bus."""
    return {"DORMICE_NATS_URL": nats.url, "DORMICE_NATS_USER": service, "DORMICE_HEALTH_LISTEN": "",
            "DORMICE_NATS_PASSWORD": nats.passwords[service]}  # fmt: skip


NO_DATABASE = b"this is no database" * 500
TORN_DATABASE = b"SQLite format 3\0" + b"\7" * 9000


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", NAMES)
@pytest.mark.parametrize("content", [NO_DATABASE, TORN_DATABASE], ids=["text", "torn"])
async def test_a_corrupt_file_refuses_the_start_and_is_left_alone(
    nats: NatsServer, tmp_path: Path, service: str, content: bytes
) -> None:
    settings = settings_class(service).load(data=tmp_path)
    bus = nats.bus(service)
    if service in ("registry", "notify"):  # Their key was made with the file.
        (tmp_path / f"{service}.key").write_bytes(key_of(service, nats, tmp_path / "other"))
    settings.database_path.write_bytes(content)
    with pytest.raises(StoreBroken, match=rf"{service}\.db"):
        await asyncio.wait_for(build(service, settings, bus).run(), START_SECONDS)
    await bus.close()
    assert settings.database_path.read_bytes() == content


def key_of(service: str, nats: NatsServer, folder: Path) -> bytes:
    """Return a key file as the service makes it."""
    settings = settings_class(service).load(data=folder)
    build(service, settings, nats.bus(service))
    made: bytes = settings.key_path.read_bytes()
    return made


async def test_a_corrupt_file_is_one_line_at_the_command(nats: NatsServer, tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_bytes(NO_DATABASE)
    code, lines = await dormice("run", "jobs", "--data", str(tmp_path), **on(nats, "jobs"))
    assert code == 1
    (line,) = lines
    assert line.startswith("dormice: ")
    assert str(tmp_path / "jobs.db") in line


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB; mounting takes root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def sealed_disk(disk: Path) -> Path:
    """The same, but not even root may write on it."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    return disk


async def test_a_directory_without_write_permission_is_one_line(
    nats: NatsServer, sealed_disk: Path
) -> None:
    for command in (("run", "presence"), ("up",)):
        code, lines = await dormice(*command, "--data", str(sealed_disk / "data"),
                                    **on(nats, "presence"))  # fmt: skip
        assert code == 1, lines
        (line,) = lines
        assert line.startswith("dormice: cannot write in ")
        assert "Read-only" in line


@pytest_asyncio.fixture
async def cramped(nats: NatsServer, disk: Path) -> AsyncIterator[Stack]:
    """The control plane on the small disk; the bus has another."""
    stack = await Stack.start(nats, disk / "data")
    try:
        yield stack
    finally:
        for host in stack.hosts.values():
            await host.agent.abort()
        await stack.down()


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


async def test_a_full_disk_is_503_until_there_is_room(cramped: Stack, disk: Path) -> None:
    """Nothing that was answered is lost, an agent's report is not acknowledged until it is kept."""
    stack = cramped
    host = await stack.add_host("web-3", always_on=True)
    await stack.until_display(host, "online")
    ballast = fill(disk)
    statuses = set()
    for number in range(60):
        body = {"name": f"group-{number}", "includes": ["/" + "x" * 3000]}
        answer = await stack.api.post(f"/hosts/{host.id}/source-groups", json=body)
        statuses.add(answer.status_code)
        if answer.status_code != 201:
            break
    assert statuses <= {201, 503}
    assert answer.status_code == 503, answer.text
    assert answer.json()["detail"]
    readiness = await stack.api.get(stack.web + "/readyz")
    assert readiness.status_code == 503
    ballast.unlink()

    async def taken() -> bool:
        again = await stack.api.post(f"/hosts/{host.id}/source-groups", json=body)
        return again.status_code in (201, 409)

    await stack.until(taken, "there is room again")

    async def ready() -> bool:
        return not stack.system.reasons_not_ready()

    await stack.until(ready, "everything works again")
    await stack.until_display(host, "online")
    named = [group["name"] for group in
             (await stack.get(f"/hosts/{host.id}/source-groups"))["items"]]  # fmt: skip
    assert named.count(body["name"]) == 1


# -- the bus ---------------------------------------------------------------------------------------


async def test_a_bus_that_comes_later(nats: NatsServer, tmp_path: Path) -> None:
    """Everything starts, says that it is not ready, and works once the bus is there."""
    nats.stop()
    stack = Stack(nats, tmp_path / "data")
    stack.system = System(nats.bus, stack.settings)
    stack.system.start()
    waiting = asyncio.create_task(stack.system.wait_ready())

    async def waits() -> bool:
        return all(f"{name}: bus away" in stack.system.reasons_not_ready() for name in NAMES)

    await stack.until(waits, "every service waits for the bus")
    nats.start()
    await asyncio.wait_for(waiting, START_SECONDS)
    await stack.system.stop()
    await stack.up()
    token = (await stack.post("/enrollment-tokens"))["token"]
    async with await FakeAgent.enroll(stack.gateway, token, hostname="late") as agent:
        await agent.connect()
    await stack.down()


# -- settings --------------------------------------------------------------------------------------

WRONG = [
    ("alerting", "DORMICE_AGENT_OFFLINE_FLOOR", "10s"),  # Below OFFLINE_AFTER.
    ("gateway", "DORMICE_GATEWAY_LISTEN", "nowhere"),
    ("ui", "DORMICE_UI_LISTEN", "127.0.0.1:99999"),
]


@pytest.mark.parametrize(("service", "variable", "value"), WRONG, ids=[w[1][8:] for w in WRONG])
async def test_a_wrong_setting_is_one_line_that_names_it(
    nats: NatsServer, tmp_path: Path, service: str, variable: str, value: str
) -> None:
    wrong = on(nats, service) | {variable: value}
    code, lines = await dormice("run", service, "--data", str(tmp_path), **wrong)
    assert code == 1
    (line,) = lines
    assert line.startswith("dormice: ")
    assert variable in line


@pytest.mark.parametrize(("variable", "value"), [
    ("DORMICE_NATS_LISTEN", "nowhere"), ("DORMICE_LOG_LEVEL", "loud"),
    ("DORMICE_UI_LISTEN", "nowhere"), ("DORMICE_GATEWAY_LISTEN", "1.2.3.4:65536"),
    ("DORMICE_STALE_AFTER", "soon"),
], ids=["bus address", "log level", "web address", "agent address", "duration"])  # fmt: skip
async def test_up_names_a_wrong_setting_in_one_line(
    tmp_path: Path, variable: str, value: str
) -> None:
    code, lines = await dormice("up", "--data", str(tmp_path), **{variable: value})
    assert code == 1
    (line,) = lines
    assert line.startswith(f"dormice: {variable}: ")


async def test_the_file_has_a_say_in_where_a_service_tells_its_health(
    nats: NatsServer, tmp_path: Path
) -> None:
    file = tmp_path / "dormice.toml"
    file.write_text('health_listen = "nowhere"\n')
    bus = {key: value for key, value in on(nats, "jobs").items() if key != "DORMICE_HEALTH_LISTEN"}
    code, (line,) = await dormice(
        "run", "jobs", "--data", str(tmp_path), "--config", str(file), **bus
    )
    assert code == 1
    assert line.startswith("dormice: DORMICE_HEALTH_LISTEN: ")


@pytest.mark.parametrize(("service", "variable", "value"), [
    ("alerting", "DORMICE_STALE_AFTER", "soon"), ("gateway", "DORMICE_OFFLINE_AFTER", "0s"),
    ("gateway", "DORMICE_HEARTBEAT_INTERVAL", "-5s"), ("gateway", "DORMICE_GATEWAY_ID", "a.b"),
    ("catchup", "DORMICE_CATCHUP_MAX_FLEET", "-1"), ("jobs", "DORMICE_PENDING_RETRY", "often"),
    ("notify", "DORMICE_ALLOW_TARGETS", "home"), ("presence", "DORMICE_OFFLINE_AFTER", "-1s"),
    ("presence", "DORMICE_OFFLINE_AFTER", "0s"), ("alerting", "DORMICE_STALE_AFTER", "0s"),
    ("catchup", "DORMICE_CATCHUP_SETTLE", "-60s"), ("ui", "DORMICE_AGENT_OFFLINE_FLOOR", "1 year"),
])  # fmt: skip
def test_a_wrong_value_is_refused_by_its_service(
    monkeypatch: pytest.MonkeyPatch, service: str, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable) as refused:
        settings_class(service).load()
    assert "\n" not in str(refused.value)
