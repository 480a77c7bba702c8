"""One real `dormice up` on free ports with two fake agents, for every command in turn."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.testing.agent_scripts import auto_succeed
from libs.common.testing.fake_agent import FakeAgent

ROOT = Path(__file__).parents[3]
PORTS = ("UI_LISTEN", "GATEWAY_LISTEN", "NATS_LISTEN", "HEALTH_LISTEN")


@dataclass(frozen=True)
class Cli:
    """Runs the command line as a person does, beside the `up` on `data`."""

    data: Path

    def __call__(
        self, *words: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", *words], cwd=ROOT, input=stdin, text=True,
            capture_output=True, timeout=60, env=self.environment | environment,
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "DORMICE" not in name}
        ports = {f"DORMICE_{name}": "127.0.0.1:0" for name in PORTS}
        own = {"DORMICE_DATA": str(self.data), "DORMICE_NOBODY": "1", "PYTHONUTF8": "1"}
        return kept | ports | own

    def good(self, *words: str, stdin: str = "") -> str:
        """Run, insist on exit code 0, return what stdout says."""
        done = self(*words, stdin=stdin)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def bad(self, *words: str, stdin: str = "", code: int = 1) -> str:
        """Run, insist on exit code 1 and no traceback, return what stderr says."""
        done = self(*words, stdin=stdin)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stderr

    def wrong(self, *words: str, stdin: str = "") -> str:
        """The same of a command line that is wrong in itself: exit code 2."""
        return self.bad(*words, stdin=stdin, code=2)


@contextmanager
def running(cli: Cli, **settings: str) -> Iterator[None]:
    """Have a `dormice up` on the data directory of `cli`; at the end stop it in order."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "up"], cwd=ROOT, env=cli.environment | settings, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = []
        while "  bus " not in "".join(said[-1:]):
            line = process.stdout.readline()
            assert line, "".join(said)
            said.append(line)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    made = Cli(tmp_path_factory.mktemp("up") / "data")
    with running(made):
        yield made


class Agents:
    """Fake agents in a thread with a loop of its own."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.by_name: dict[str, FakeAgent] = {}

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def join(self, name: str, *, always_on: bool) -> None:
        url, token = (self._data / "ui.url", self._data / "admin-token")
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
        async with httpx.AsyncClient(base_url=url.read_text().strip(), headers=headers) as api:
            made = await api.post("/api/v1/enrollment-tokens", json={"always_on": always_on})
        gateway = (self._data / "gateway.url").read_text().strip()
        agent = await FakeAgent.enroll(gateway, made.json()["token"], hostname=name)
        agent.script = auto_succeed
        await agent.connect()
        agent.start_heartbeats(timedelta(seconds=5))
        self.by_name[name] = agent

    def stop(self) -> None:
        for agent in self.by_name.values():
            self.do(agent.disconnect())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def agents(cli: Cli) -> Iterator[Agents]:
    """web-3 is online; laptop-7 and laptop-9 are intermittent, laptop-7 asleep."""
    made = Agents(cli.data)
    try:
        made.do(made.join("web-3", always_on=True))
        made.do(made.join("laptop-7", always_on=False))
        made.do(made.join("laptop-9", always_on=False))
        made.do(made.by_name["laptop-7"].goodbye("sleep"))
        yield made
    finally:
        made.stop()
