"""The compose file on a real Docker engine, under a project name and ports of its own.

deployment = Deployment(folder)
deployment.up()                     # builds, starts, waits until everything is healthy
deployment.kill("nats")             # docker kill: no goodbye
deployment.start("nats")
deployment.down()                   # containers and networks; `remove` takes the volumes too
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from testcontainers.compose import DockerCompose

from libs.common.clock import monotonic_seconds
from libs.common.testing.ports import free_ports

T = TypeVar("T")

FOLDER = Path(__file__).parents[2] / "deploy"
QUICK = Path(__file__).with_name("quick.env")
LONG_RUNNING = (
    "nats", "registry", "gateway", "presence", "alerting", "catchup", "jobs", "notify", "ui",
)  # fmt: skip
ONE_SHOT = ("init", "setup", "setup-readers")
LABELLED = "label=com.docker.compose.project=dormice-test"
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.1


class Deployment:
    """One `docker compose` project, and the API of what runs in it."""

    def __init__(self, folder: Path) -> None:
        web, agents = free_ports(2)
        ports = folder / "ports.env"
        ports.write_text(f"DORMICE_UI_PORT={web}\nDORMICE_GATEWAY_PORT={agents}\n")
        self.compose = DockerCompose(
            FOLDER, compose_file_name="docker-compose.yml", env_file=[str(QUICK), str(ports)],
            build=True, wait=True,
        )  # fmt: skip
        self.gateway = f"http://127.0.0.1:{agents}"
        self.web = f"http://127.0.0.1:{web}"
        self.api = httpx.Client(base_url=f"{self.web}/api/v1", timeout=15, trust_env=False)

    # --- the project

    def up(self) -> None:
        """Return once every service is healthy. Raises AssertionError with what was said."""
        try:
            self.compose.start()
        except subprocess.CalledProcessError as error:
            said = (error.stdout + error.stderr).decode(errors="replace")
            raise AssertionError(f"{said[-3000:]}\n{self.logs()[-5000:]}") from None
        self.api.headers["Authorization"] = f"Bearer {self.admin_token()}"

    def down(self) -> None:
        """End and remove the containers; the volumes stay."""
        docker(*self.compose.compose_command_property[1:], "down")

    def remove(self) -> None:
        """End and remove everything that the project has."""
        docker(*self.compose.compose_command_property[1:], "down", "--volumes", "--remove-orphans")

    def kill(self, service: str) -> None:
        docker("kill", self.container(service))

    def start(self, service: str) -> None:
        docker("start", self.container(service))

    def container(self, service: str) -> str:
        """Return the id of a service's container, running or not."""
        found = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", LABELLED,
                       "--filter", f"label=com.docker.compose.service={service}")  # fmt: skip
        assert found.strip(), f"there is no container of {service}"
        return found.strip()

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", self.container(service)))[0]
        return found

    def run_in(self, service: str, *words: str) -> str:
        """Return the output of a command inside a running container."""
        return docker("exec", self.container(service), *words)

    def logs(self) -> str:
        return docker(*self.compose.compose_command_property[1:], "logs", "--no-color")

    def admin_token(self) -> str:
        """Return the first admin's API token, as docs/deployment.md says to find it."""
        return self.run_in("ui", "cat", "/data/admin-token").strip()

    # --- its health

    def ill(self) -> dict[str, str]:
        """Return what is not healthy: {service: how it is}."""
        form = '{{.Label "com.docker.compose.service"}}\t{{.Status}}'
        shown = docker("ps", "--all", "--filter", LABELLED, "--format", form)
        states = dict(line.split("\t", 1) for line in shown.splitlines())
        return {
            service: states.get(service, "missing")
            for service in LONG_RUNNING
            if not states.get(service, "").endswith("(healthy)")
        }

    def until_healthy(self) -> None:
        until(lambda: not self.ill(), self.ill)

    # --- its API

    def get(self, path: str) -> Any:
        return checked(self.api.get(path))

    def post(self, path: str, **body: Any) -> Any:
        return checked(self.api.post(path, json=body))

    def put(self, path: str, **body: Any) -> Any:
        return checked(self.api.put(path, json=body))

    def items(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(path)["items"]
        return found


def docker(*words: str) -> str:
    """Run `docker`; return what it printed on both streams. Raises AssertionError if it fails."""
    done = subprocess.run(
        ["docker", *words], cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stdout[-3000:]}"
    return done.stdout


def until(check: Callable[[], T], otherwise: Callable[[], object] = str) -> T:
    """Ask until the answer is true, and return it. Raises AssertionError with `otherwise()`.

    An answer that cannot be had just now (a restarting service) counts as not true.
    """
    deadline = monotonic_seconds() + WAIT_SECONDS
    problem: object = ""
    while monotonic_seconds() < deadline:
        try:
            if seen := check():
                return seen
        except (httpx.HTTPError, AssertionError) as error:
            problem = error
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"not within {WAIT_SECONDS} s: {otherwise()} {problem}")


def checked(answer: httpx.Response) -> Any:
    assert answer.is_success, (answer.request.method, str(answer.request.url), answer.text)
    return answer.json() if answer.content else None
