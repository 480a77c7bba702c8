"""What `docker compose up` starts, without an edit: that it is healthy, closed, and works."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.deploy.conftest import AddMachine
from tests.deploy.deployment import LONG_RUNNING, ONE_SHOT, Deployment, docker

pytestmark = pytest.mark.timeout(400)  # The first test also builds the image.

CONNECT_ANONYMOUSLY = """
import socket
line = socket.create_connection(("nats", 4222), timeout=5)
line.recv(4096)
line.sendall(b'CONNECT {"verbose":true}\\r\\nPING\\r\\n')
print(line.recv(4096).decode())
"""
WRITE_TO_ROOT = "open('/opt/dormice/new', 'w')"


def test_every_service_is_healthy_and_every_one_shot_has_ended_well(deployment: Deployment) -> None:
    assert deployment.ill() == {}
    ends = {service: deployment.inspect(service)["State"] for service in ONE_SHOT}
    assert {service: end["ExitCode"] for service, end in ends.items()} == dict.fromkeys(ONE_SHOT, 0)
    assert not any(end["Running"] for end in ends.values())


@pytest.mark.parametrize("service", [*LONG_RUNNING, *ONE_SHOT])
def test_a_container_has_no_more_than_it_needs(deployment: Deployment, service: str) -> None:
    found = deployment.inspect(service)
    host = found["HostConfig"]
    assert found["Config"]["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["Privileged"] is False
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert {mount["Type"] for mount in found["Mounts"]} == {"volume"}
    assert all(mount["Name"].startswith("dormice-test_") for mount in found["Mounts"])


def test_only_pages_and_agents_are_reached_from_outside(deployment: Deployment) -> None:
    published = {
        (service, port, binding["HostIp"])
        for service in LONG_RUNNING
        for port, bindings in deployment.inspect(service)["HostConfig"]["PortBindings"].items()
        for binding in bindings
    }
    # And that from this machine alone, until somebody says otherwise.
    assert published == {("gateway", "8481/tcp", "127.0.0.1"), ("ui", "8480/tcp", "127.0.0.1")}


def test_a_service_cannot_change_its_own_program(deployment: Deployment) -> None:
    with pytest.raises(AssertionError, match="Read-only file system"):
        deployment.run_in("registry", "python", "-c", WRITE_TO_ROOT)


def test_the_bus_refuses_who_has_no_password(deployment: Deployment) -> None:
    said = deployment.run_in("registry", "python", "-c", CONNECT_ANONYMOUSLY)
    assert "Authorization Violation" in said


def test_r20_each_service_has_its_own_secret_and_no_log_has_any(deployment: Deployment) -> None:
    passwords = json.loads(deployment.run_in("nats", "cat", "/etc/dormice/nats/passwords.json"))
    for service in LONG_RUNNING[1:]:
        own = deployment.run_in(service, "cat", "/data/bus-password").strip()
        assert own == passwords[service]
        assert deployment.run_in(service, "ls", "/init").split() != []
        assert deployment.run_in(service, "sh", "-c", "ls /init/*/* 2>/dev/null || true") == ""
    secrets = {*passwords.values(), deployment.admin_token()}
    assert len(secrets) == len(passwords) + 1
    told = deployment.logs() + "".join(
        docker("inspect", deployment.container(service)) for service in (*LONG_RUNNING, *ONE_SHOT)
    )
    assert [secret for secret in secrets if secret in told] == []


def test_logs_are_json_lines(deployment: Deployment) -> None:
    for service in LONG_RUNNING[1:]:
        for line in docker("logs", deployment.container(service)).splitlines():
            assert "event" in json.loads(line), (service, line)


def test_the_two_commands_of_the_documentation_let_a_newcomer_in(deployment: Deployment) -> None:
    code = deployment.run_in("ui", "dormice", "setup-code", "--json")
    assert json.loads(code)["code"]
    assert json.loads(deployment.run_in("ui", "dormice", "hosts", "--json")) is not None
    page = httpx.get(f"{deployment.web}/setup", trust_env=False)
    assert page.status_code == 200
    assert "<form" in page.text


def test_a_laptop_enrolls_sleeps_wakes_and_catches_up(
    deployment: Deployment, add_machine: AddMachine
) -> None:
    laptop = add_machine("laptop-7", always_on=False)
    laptop.start()
    laptop.until_display("online")

    laptop.close_lid()
    laptop.until_display("asleep")
    laptop.add_backup()  # While it sleeps: what it finds overdue when it wakes.
    assert laptop.open_alerts() == []
    assert laptop.jobs() == []

    laptop.open_lid()
    job = laptop.until_job(origin="catchup", status="succeeded")
    assert job["source_group_id"] == laptop.group
    assert laptop.snapshots() == 1
    assert laptop.open_alerts() == []
    laptop.stop()
