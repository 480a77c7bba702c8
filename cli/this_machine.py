"""`dormice up --with-this-machine`: this machine as the first host, by a real agent process.

It is enrolled once, with a sample folder as its source group, a local repository and a daily
schedule, so that a newcomer can run a real backup from the page at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from libs.common.bus import child_shim
from libs.common.errors import RemoteError, Unavailable
from libs.common.ids import new_secret

if TYPE_CHECKING:
    from cli.up import Up

RESTART_SECONDS = 2.0
STOP_SECONDS = 2.0
SHIM = Path(child_shim.__file__)
INSTALLED = ("-P", "-m", "cli")  # Not a folder of that name where we happen to stand.
TAR = "tar -czf {target}.tar.gz {includes}"
SAMPLE = {
    "welcome.txt": "This folder is backed up by Dormice. Put something of yours here.\n",
    "notes/ideas.txt": "Close the lid. Nobody is told. Open it: a minute later it catches up.\n",
}


async def enrol_this_machine(up: Up) -> None:
    """Enrol (the first time) and run the agent until cancelled."""
    folder = up.data / "this-machine"
    state = folder / "agent"
    engine = _engine()
    async with _api(up) as api:
        if not (state / "identity.json").exists():
            token = (await _post(api, "/enrollment-tokens", {"always_on": True}))["token"]
            await _enroll(up, state, token)
            await _configure(api, _host_id(state), folder)
    print(f"  host    this machine is enrolled; its agent runs: dormice agent logs --state {state}",
          flush=True)  # fmt: skip
    await _keep_running(_agent("run", state=state), engine | {"DORMICE_AGENT_LOG_LEVEL": "warning"})


def _engine() -> dict[str, str]:
    """Return the agent's environment: restic, or tar where there is no restic."""
    if shutil.which("restic"):
        return {}
    print("  note    restic is not installed (Debian: apt install restic); backing up with tar",
          flush=True)  # fmt: skip
    return {"DORMICE_AGENT_ENGINE": "command", "DORMICE_AGENT_COMMAND": TAR}


def _api(up: Up) -> httpx.AsyncClient:
    token = (up.data / "admin-token").read_text().strip()
    return httpx.AsyncClient(
        base_url=f"{up.urls['ui']}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
        timeout=15,
    )


async def _post(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    return _checked(await api.post(path, json=body))


def _checked(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else None
    body = answer.json()
    raise RemoteError("setup", f"{body.get('title')}: {body.get('detail')}")


def _host_id(state: Path) -> str:
    """Return who this machine has become; other hosts may have been there before."""
    return str(json.loads((state / "identity.json").read_text("utf-8"))["host_id"])


async def _configure(api: httpx.AsyncClient, host: str, folder: Path) -> None:
    """Give the host something to back up, somewhere to put it, and a time."""
    for name, text in SAMPLE.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    repository = {"url": str(folder / "repository"), "password": new_secret()}
    _checked(await api.put(f"/hosts/{host}/repository", json=repository))
    group = await _post(
        api,
        f"/hosts/{host}/source-groups",
        {"name": "sample", "includes": [str(folder / "files")]},
    )
    await _post(
        api,
        f"/hosts/{host}/schedules",
        {"name": "daily", "cron": "0 2 * * *", "source_group_ids": [group["id"]]},
    )


def _agent(*words: str, state: Path) -> list[str]:
    return [sys.executable, *INSTALLED, "agent", *words, "--state", str(state)]


async def _enroll(up: Up, state: Path, token: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *_agent("enroll", up.urls["gateway"], state=state),
        env={**os.environ, "DORMICE_ENROLL_TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise Unavailable(f"this machine could not be enrolled: {said.decode().strip()}")


async def _keep_running(command: list[str], environment: dict[str, str]) -> None:
    """Run the agent, again should it end; end it in order when cancelled.

    It dies with us, however we die: the next `up` starts its own.
    """
    while True:
        read_fd, watch_fd = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(SHIM), str(os.getpid()), str(read_fd), *command,
                env={**os.environ, **environment}, start_new_session=True, pass_fds=(read_fd,),
            )  # fmt: skip
            try:
                await process.wait()
            finally:
                await _end(process)
        finally:
            os.close(read_fd)
            os.close(watch_fd)
        await asyncio.sleep(RESTART_SECONDS)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, then insist."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
