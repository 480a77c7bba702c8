"""R18 for the deployment: killed containers come back, and `down` and `up` keeps what was known."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.conftest import AddMachine
from tests.deploy.deployment import LONG_RUNNING, ONE_SHOT, Deployment, until
from tests.deploy.machine import Machine

pytestmark = pytest.mark.timeout(400)

PAGER = "https://pager.invalid/hook"  # Nobody is there: what matters is that it is remembered.


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_r18_a_killed_container_comes_back_and_all_works(
    deployment: Deployment, server: Machine, service: str
) -> None:
    before = server.shown()
    deployment.kill(service)
    assert service in deployment.ill()
    deployment.start(service)
    deployment.until_healthy()
    server.until_display("online")
    after = server.shown()
    assert [after[key] for key in ("id", "name", "always_on")] == [
        before[key] for key in ("id", "name", "always_on")
    ]
    job = server.back_up()
    assert job["host_id"] == server.id


@pytest.mark.parametrize("service", ONE_SHOT)
def test_r18_a_one_shot_may_run_again(
    deployment: Deployment, server: Machine, service: str
) -> None:
    token = deployment.admin_token()
    deployment.start(service)
    until(lambda: not deployment.inspect(service)["State"]["Running"])
    assert deployment.inspect(service)["State"]["ExitCode"] == 0
    assert deployment.ill() == {}
    assert deployment.admin_token() == token
    assert server.shown()["display"] == "online"


def test_r18_down_and_up_keeps_hosts_alerts_and_jobs(
    deployment: Deployment, server: Machine, add_machine: AddMachine
) -> None:
    server.back_up()
    deployment.post("/channels", name="pager", kind="webhook", config={"url": PAGER})
    lost = add_machine("server-2", always_on=True)
    lost.start()
    lost.until_display("online")
    lost.pull_the_plug()
    until(lambda: lost.open_alerts() == ["agent_offline"], lost.shown)
    until(lambda: server.shown()["current_job_id"] is None)
    before, audit, token = _known(deployment), _audit(deployment), deployment.admin_token()

    deployment.down()
    deployment.up()

    assert deployment.admin_token() == token
    server.until_display("online")
    assert lost.shown()["display"] == "offline"
    until(lambda: _known(deployment) == before, lambda: (before, _known(deployment)))
    assert audit - _audit(deployment) == set()  # A start may add to it.
    server.back_up()
    lost.start()
    until(lambda: lost.open_alerts() == [], lost.shown)


def _known(deployment: Deployment) -> dict[str, list[tuple[Any, ...]]]:
    """Return what must outlive the containers, without what moves on by itself."""
    kept = {
        "/hosts": ("id", "name", "always_on", "last_backup_at", "open_alerts", "enrolled_at"),
        "/alerts?state=open": ("id", "host_id", "kind", "message", "state", "raised_at"),
        "/jobs": ("id", "host_id", "status", "origin", "created_at", "finished_at", "exit_code"),
        "/channels": ("id", "name"),
    }
    return {
        path: sorted(tuple(item[key] for key in keys) for item in deployment.items(path))
        for path, keys in kept.items()
    }


def _audit(deployment: Deployment) -> set[tuple[Any, ...]]:
    return {(entry["at"], entry["action"]) for entry in deployment.items("/audit")}
