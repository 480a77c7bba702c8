"""A machine of the fleet: a real agent process of this checkout, with real restic."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.deploy.deployment import Deployment, until

ROOT = Path(__file__).parents[2]
QUICK = {"DORMICE_AGENT_BACKOFF_MAX": "1s", "DORMICE_AGENT_LOG_FORM": "json"}
STOP_SECONDS = 15


class Machine:
    """One enrolled host. Its agent reaches the deployment by the published port only."""

    def __init__(self, deployment: Deployment, folder: Path, name: str, *, always_on: bool) -> None:
        self.deployment, self.folder, self.name = deployment, folder, name
        self.state = folder / "agent"
        self.group = ""
        self._process: subprocess.Popen[bytes] | None = None
        token = deployment.post("/enrollment-tokens", always_on=always_on)["token"]
        self._agent("enroll", deployment.gateway, "--name", name, token=token)
        hosts = until(lambda: [h for h in deployment.items("/hosts") if h["name"] == name])
        self.id = str(hosts[0]["id"])

    # --- its agent

    def start(self) -> None:
        with (self.folder / "agent.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._argv("run"), cwd=ROOT, env=self._environment(), stdout=output, stderr=output
            )

    def pull_the_plug(self) -> None:
        """kill -9: no goodbye."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(STOP_SECONDS)

    def close_lid(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def open_lid(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR2)

    # --- what an operator does for it

    def add_backup(self) -> None:
        """Give it a folder, a repository and a schedule of every night."""
        files = self.folder / "files"
        files.mkdir()
        (files / "letter.txt").write_text("Dear dormouse, " * 1000)
        path = f"/hosts/{self.id}"
        repository = str(self.folder / "repository")
        self.deployment.put(f"{path}/repository", url=repository, password="canary-password")
        groups, schedules = f"{path}/source-groups", f"{path}/schedules"
        self.group = self.deployment.post(groups, name="home", includes=[str(files)])["id"]
        self.deployment.post(schedules, cron="0 2 * * *", source_group_ids=[self.group])

    def back_up(self) -> dict[str, Any]:
        """Ask for a backup and return the job that succeeded."""
        path = f"/hosts/{self.id}/backup"
        job_id = until(
            lambda: self.deployment.post(path, source_group_id=self.group)["job_id"], self.shown
        )
        return self.until_job(id=job_id, status="succeeded")

    # --- what is seen of it

    def shown(self) -> dict[str, Any]:
        seen: dict[str, Any] = self.deployment.get(f"/hosts/{self.id}")
        return seen

    def jobs(self) -> list[dict[str, Any]]:
        return self.deployment.items(f"/jobs?host_id={self.id}")

    def open_alerts(self) -> list[str]:
        found = self.deployment.items(f"/alerts?state=open&host_id={self.id}")
        return [alert["kind"] for alert in found]

    def until_display(self, display: str) -> None:
        until(lambda: self.shown()["display"] == display, self.shown)

    def until_job(self, **wanted: str) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            return next((job for job in self.jobs() if wanted.items() <= job.items()), None)

        found = until(find, self.jobs)
        assert found is not None
        return found

    def snapshots(self) -> int:
        """Count what restic itself finds in the repository."""
        said = subprocess.run(
            ["restic", "--repo", self.folder / "repository", "snapshots", "--json"],
            env={**os.environ, "RESTIC_PASSWORD": "canary-password"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return said.stdout.count('"short_id"')

    # --- helpers

    def _argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "agent", *words, "--state", str(self.state)]

    def _environment(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DORMICE_")}
        return kept | QUICK | more

    def _agent(self, *words: str, token: str) -> None:
        done = subprocess.run(
            self._argv(*words), cwd=ROOT, env=self._environment(DORMICE_ENROLL_TOKEN=token),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
