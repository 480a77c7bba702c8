"""The agent as a process: started, stopped, killed, put to sleep; and enrolled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.commands import app
from agent.ledger import ACCEPTED, RUNNING, Job, Ledger
from agent.state import StateDirectory
from agent.status import describe
from agent.store import AgentStore
from libs.common.clock import SystemClock
from libs.common.protocol import (
    Goodbye,
    GoodbyeReason,
    JobAccepted,
    JobFinished,
    JobStarted,
    Run,
    RunStatus,
)
from libs.common.testing.agent_gateway import ScriptedGateway
from tests.integration.agent.conftest import TOKEN, Rig


def manual(job_id: str = "job-1") -> Run:
    return Run(job_id=job_id, source_group_id="group-1", config_version=1)


async def ended(process: asyncio.subprocess.Process) -> int:
    return await asyncio.wait_for(process.wait(), 30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_says_goodbye(rig: Rig, number: signal.Signals) -> None:
    async with rig.process() as process:
        line = await rig.ready()
        process.send_signal(number)
        assert (await line.expect(Goodbye)).reason is GoodbyeReason.SHUTDOWN
        assert await ended(process) == 0


async def test_a_signal_ends_a_running_job_as_interrupted(rig: Rig, sleeper: str) -> None:
    async with rig.process(engine="command", command=sleeper) as process:
        line = await rig.ready()
        await line.send(manual())
        await line.expect(JobStarted)
        process.send_signal(signal.SIGTERM)
        finished = await line.expect(JobFinished)
        assert finished.status is RunStatus.INTERRUPTED
        await line.expect(Goodbye)
        assert await ended(process) == 0


async def test_kill_9_in_a_run_is_interrupted_after_the_restart(rig: Rig, sleeper: str) -> None:
    async with rig.process(engine="command", command=sleeper) as process:
        line = await rig.ready()
        await line.send(manual())
        await line.expect(JobStarted)
        program = await _pid_in(rig.state / "program")
        process.kill()
        await process.wait()
    async with rig.process(engine="command", command=sleeper):
        line = await rig.gateway.welcomed()
        assert line.hello.running == []  # Its end is in the spool.
        finished = await line.expect(JobFinished)
        assert (finished.job_id, finished.status) == ("job-1", RunStatus.INTERRUPTED)
        await line.send(manual())
        assert (await line.expect(JobAccepted)).state == "interrupted"
        async with asyncio.timeout(5):
            while _is_there(Path(f"/proc/{program}")):
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("state", [ACCEPTED, RUNNING])
async def test_r15_a_job_that_a_killed_agent_had_is_told_and_never_begun_again(
    rig: Rig, state: str
) -> None:
    """Killed after the job was on disk: before its program was started, or after."""
    store = AgentStore(rig.state / "agent.db")
    job = Job("job-1", None, 1, None, "group-1", None, alone=False, state=state)
    Ledger(store).add_job(job, SystemClock().now())
    store.close()
    async with rig.agent():
        line = await rig.ready()
        finished = await line.expect(JobFinished)
        assert (finished.job_id, finished.status) == ("job-1", RunStatus.INTERRUPTED)
        await line.send(manual())
        assert (await line.expect(JobAccepted)).state == "interrupted"
    assert line.seen(JobStarted) == []
    assert not rig.repository.exists()


async def test_r15_accepted_ids_are_kept_for_45_days(rig: Rig) -> None:
    now = SystemClock().now()
    hour = timedelta(hours=1)
    store = AgentStore(rig.state / "agent.db")
    for name, ended_at in (
        ("young", now - timedelta(days=45) + hour),
        ("old", now - timedelta(days=45) - hour),
    ):
        job = Job(name, None, 1, None, "group-1", None, alone=False, state=ACCEPTED)
        Ledger(store).add_job(job, ended_at - hour)
        Ledger(store).set_state(name, "succeeded", ended_at)
    store.close()
    async with rig.agent() as agent:
        line = await rig.ready()
        await line.send(manual("young"))
        assert (await line.expect(JobAccepted)).state == "succeeded"
        assert agent.machine.ledger.find_job("old") is None


async def test_r18_kill_9_after_the_end_loses_no_result(rig: Rig) -> None:
    rig.gateway.acknowledge = False
    async with rig.process() as process:
        line = await rig.ready()
        await line.send(manual())
        told = await line.expect(JobFinished)
        process.kill()
        await process.wait()
    async with rig.process():
        line = await rig.gateway.welcomed()
        assert await line.expect(JobFinished) == told  # The same number, the same words.
        await line.send(manual())
        assert (await line.expect(JobAccepted)).state == "succeeded"
    assert len(await rig.snapshots()) == 1


async def test_a_system_that_goes_down_ends_the_program_and_nothing_failed(
    rig: Rig, sleeper: str
) -> None:
    """It tells everything that runs to end, at once: the program is gone before we ask it."""
    async with rig.process(engine="command", command=sleeper) as process:
        line = await rig.ready()
        await line.send(manual())
        await line.expect(JobStarted)
        program = await _pid_in(rig.state / "program")
        process.send_signal(signal.SIGTERM)
        os.killpg(program, signal.SIGTERM)
        assert (await line.expect(JobFinished)).status is RunStatus.INTERRUPTED
        assert await ended(process) == 0


async def test_the_lid(rig: Rig, sleeper: str) -> None:
    async with rig.process(engine="command", command=sleeper) as process:
        line = await rig.ready()
        await line.send(manual())
        await line.expect(JobStarted)
        program = await _pid_in(rig.state / "program")
        process.send_signal(signal.SIGUSR1)
        assert (await line.expect(Goodbye)).reason is GoodbyeReason.SLEEP
        await line.closed.wait()
        assert _process_state(program) == "T"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):  # Far longer than its backoff.
                await rig.gateway.accepted()
        process.send_signal(signal.SIGUSR2)
        line = await rig.gateway.welcomed()
        assert line.hello.running == ["job-1"]
        assert _process_state(program) != "T"
        process.send_signal(signal.SIGTERM)
        assert (await line.expect(JobFinished)).status is RunStatus.INTERRUPTED
        await ended(process)


async def test_a_second_agent_is_refused(rig: Rig) -> None:
    async with rig.process():
        await rig.ready()
        async with rig.process() as second:
            assert await ended(second) == 1
        assert "another agent runs" in rig.stderr


async def test_not_enrolled(rig: Rig) -> None:
    rig.state.joinpath("identity.json").unlink()
    async with rig.process() as process:
        assert await ended(process) == 1
    assert rig.stderr.strip().endswith("run: dormice agent enroll URL")


async def test_a_wrong_setting_is_one_line(rig: Rig) -> None:
    async with rig.process(backoff_max="soon") as process:
        assert await ended(process) == 1
    assert rig.stderr.startswith("error: DORMICE_AGENT_BACKOFF_MAX: 'soon' is not a duration")
    assert rig.stderr.count("\n") == 1


async def test_a_damaged_database_is_set_aside(rig: Rig) -> None:
    rig.state.joinpath("agent.db").write_bytes(b"not a database at all" * 100)
    async with rig.agent():
        await rig.ready()
    assert rig.state.joinpath("agent.db.broken").exists()


async def test_status_tells_the_state(rig: Rig) -> None:
    async with rig.process() as process:
        await rig.ready()
        facts = await asyncio.to_thread(describe, rig.settings())
        assert facts["running"] is True
        assert facts["status"]["state"] == "connected"
        assert facts["config_version"] == 1
        assert facts["reports_waiting"] == 0
        process.send_signal(signal.SIGTERM)
        await ended(process)
        result = await asyncio.to_thread(
            CliRunner().invoke, app, ["status", "--state", str(rig.state)]
        )
    assert result.exit_code == 1
    said = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if line)
    assert (said["state"], said["configuration"]) == ("not running", "version 1")
    assert (said["repository"], said["reports"]) == ("set", "all delivered")
    assert said["next:"] == "dormice agent run"
    assert "{" not in result.stdout
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["status", "--json", "--state", str(rig.state)]
    )
    assert result.exit_code == 1
    assert json.loads(result.stdout)["running"] is False
    assert TOKEN not in result.stdout
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["logs", "-n", "1", "--state", str(rig.state)]
    )
    assert json.loads(result.stdout)["event"] == "agent_stopped"


def test_status_and_logs_before_anything(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["status", "--state", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "next: dormice agent enroll URL"
    result = CliRunner().invoke(app, ["logs", "--state", str(tmp_path)])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith("error: no log yet")


# --- Enrollment -----------------------------------------------------------------------------------


class Desk:
    """Answers POST /enroll as told, and keeps what was asked."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.body = body
        self.asked: dict[str, Any] = {}
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ength:" in line)
        self.asked = json.loads(await reader.readexactly(length))
        answer = json.dumps(self.body).encode()
        writer.write(
            f"HTTP/1.1 {self.status} x\r\nContent-Length: {len(answer)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + answer
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def desk(status: int, **body: Any) -> AsyncIterator[Desk]:
    it = Desk(status, body)
    server = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield it


async def enrolled(
    folder: Path, *arguments: str, stdin: str = "", **environment: str
) -> tuple[int, str]:
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["enroll", "--state", str(folder), *arguments],
        input=stdin, env=environment,
    )  # fmt: skip
    return result.exit_code, result.output


async def test_enrollment_keeps_the_token_private(tmp_path: Path) -> None:
    async with desk(201, host_id="host-9", agent_token="secret-agent-token") as gateway:
        code, said = await enrolled(
            tmp_path / "state", gateway.url + "/", DORMICE_ENROLL_TOKEN="enroll-token"
        )
        assert code == 0, said
        assert "secret-agent-token" not in said
        assert gateway.asked["token"] == "enroll-token"
        assert {"hostname", "os", "arch", "timezone"} <= gateway.asked.keys()
        identity = StateDirectory(tmp_path / "state").get_identity()
        assert (identity.host_id, identity.gateway) == ("host-9", gateway.url)
        assert (tmp_path / "state" / "identity.json").stat().st_mode & 0o777 == 0o600
        code, said = await enrolled(tmp_path / "state", gateway.url, stdin="another\n")
        assert code == 1
        assert "--force" in said
        token = tmp_path / "token"
        token.write_text("from-a-file\n")
        code, _ = await enrolled(
            tmp_path / "state", gateway.url, "--force", "--token-file", str(token)
        )
        assert code == 0
        assert gateway.asked["token"] == "from-a-file"
        code, said = await enrolled(tmp_path / "state", gateway.url, "as-argument", "--force")
        assert code == 0
        assert "warning" in said


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"detail": "no"}, "enroll-token"),
        (409, {"detail": "name taken; atlas-2 is free"}, "atlas-2"),
        (422, {"detail": "bad name"}, "bad name"),
        (429, {}, "wait a minute"),
        (503, {}, "try again"),
        (200, {"hello": 1}, "refused (200)"),
        (201, {"hello": 1}, "does not answer like"),
    ],
)
async def test_refusals_say_what_to_do(
    tmp_path: Path, status: int, body: dict[str, Any], said: str
) -> None:
    async with desk(status, **body) as gateway:
        code, output = await enrolled(tmp_path, gateway.url, stdin="token\n")
    assert code == 1
    assert said in output
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    "url", ["", "gateway", "ftp://x", "http://", "http://u:p@h", "http://h:x", "http://127.0.0.1:1"]
)
async def test_bad_addresses(tmp_path: Path, url: str) -> None:
    code, output = await enrolled(tmp_path, url, stdin="token\n")
    assert code == 1
    assert output.startswith("error: ")
    assert output.count("\n") == 1


async def test_no_token(tmp_path: Path) -> None:
    code, output = await enrolled(tmp_path, "http://127.0.0.1:1")
    assert code == 1
    assert "DORMICE_ENROLL_TOKEN" in output


async def _pid_in(path: Path) -> int:
    async with asyncio.timeout(5):
        while not _is_there(path):
            await asyncio.sleep(0.02)
    return _first_number(path)


def _is_there(path: Path) -> bool:
    return path.exists()


def _first_number(path: Path) -> int:
    return int(path.read_text().split()[0])


def _process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_gateway_given_by_a_setting(rig: Rig, gateway: ScriptedGateway) -> None:
    identity = json.loads(rig.state.joinpath("identity.json").read_text())
    identity["gateway"] = "http://127.0.0.1:1"
    rig.state.joinpath("identity.json").write_text(json.dumps(identity))
    async with rig.process(environment={**os.environ, "DORMICE_AGENT_GATEWAY": gateway.url}):
        await rig.ready()


async def test_a_full_disk_delays_a_result_and_loses_none(rig: Rig, tmp_path: Path) -> None:
    script = tmp_path / "talker"
    script.write_text(f"#!/bin/sh\nwhile ! [ -e {tmp_path}/go ]; do sleep 0.02; done\nseq 1 9999\n")
    script.chmod(0o755)
    async with rig.agent(engine="command", command=f"{script} {{includes}}") as agent:
        line = await rig.ready()
        await line.send(manual())
        await line.expect(JobStarted)
        pages = agent.store.rows("PRAGMA page_count")[0][0]
        agent.store.rows(f"PRAGMA max_page_count = {pages}")
        (tmp_path / "go").touch()
        async with asyncio.timeout(5):
            while agent.machine.running is not None:
                await asyncio.sleep(0.02)
        assert [job.state for job in agent.machine.ledger.unfinished()] == ["running"]
        agent.store.rows("PRAGMA max_page_count = 1000000")
        assert (await line.expect(JobFinished)).status is RunStatus.SUCCEEDED
        assert agent.machine.ledger.unfinished() == []
