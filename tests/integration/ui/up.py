"""A whole system as users start it, `dormice up`, for as long as a module of tests lasts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

FREE_PORTS = {
    f"DORMICE_{name}_LISTEN": "127.0.0.1:0" for name in ("UI", "GATEWAY", "NATS")
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Up:
    """Where it is, the first admin's token, and one id of each thing by its path parameter."""

    url: str
    token: str
    ids: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def running(folder: Path) -> Iterator[Up]:
    """Start it with one host, source group, schedule, pending job, channel and operator."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DORMICE_")}
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "up", "--data", str(folder)],
            env=kept | FREE_PORTS, stdout=subprocess.PIPE, stderr=said, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        assert any(line.startswith("  bus ") for line in process.stdout), (
            folder / "said"
        ).read_text()
        url, gateway = ((folder / f"{part}.url").read_text().strip() for part in ("ui", "gateway"))
        token = (folder / "admin-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=30) as api:
            ids = _one_of_each(api, gateway)
        yield Up(url, token, ids)
        assert process.poll() is None, (folder / "said").read_text()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _one_of_each(api: httpx.Client, gateway: str) -> dict[str, str]:
    def made(path: str, **body: Any) -> Any:
        answer = api.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    enrolled = httpx.post(
        f"{gateway}/enroll",
        json={"token": made("/enrollment-tokens")["token"], "hostname": "atlas", "os": "linux",
              "arch": "amd64", "timezone": "UTC"},
    )  # fmt: skip
    host = enrolled.json()["host_id"]
    group = made(f"/hosts/{host}/source-groups", name="home", includes=["/home"])["id"]
    schedule = made(f"/hosts/{host}/schedules", cron="0 2 * * *", source_group_ids=[group])["id"]
    assert api.put(f"/hosts/{host}/repository", json={"url": "/r", "password": "p"}).is_success
    job = made(f"/hosts/{host}/backup", source_group_id=group, when_it_wakes=True)["job_id"]
    hook = {"url": "http://hook.invalid/"}
    channel = made("/channels", name="ops", kind="webhook", config=hook)["id"]
    operator = made("/operators", name="ada", password="correct horse battery")["id"]
    token = made("/api-tokens", name="ci")["id"]
    return {
        "host_id": host, "source-groups": group, "schedules": schedule, "job_id": job,
        "channel_id": channel, "operator_id": operator, "token_id": token, "entry_id": "1",
    }  # fmt: skip
