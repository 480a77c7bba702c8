"""One deployment for all tests here; they fail where there is no Docker engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.deployment import Deployment, docker
from tests.deploy.machine import Machine

AddMachine = Callable[..., Machine]


@pytest.fixture(scope="session")
def engine() -> None:
    """The tests' first need, told in one line."""
    assert shutil.which("docker"), "these tests need Docker: there is no `docker` command"
    assert shutil.which("restic"), "these tests need restic (Debian: apt install restic)"
    docker("info")
    docker("compose", "version")


@pytest.fixture(scope="session")
def empty(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The project, without whatever a run that was cut short left of it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("DORMICE_", "COMPOSE_"))]:
            patch.delenv(name)  # It would beat what quick.env says.
        found = Deployment(tmp_path_factory.mktemp("deployment"))
        found.remove()
        try:
            yield found
        finally:
            found.api.close()
            found.remove()


@pytest.fixture(scope="session")
def deployment(empty: Deployment) -> Deployment:
    """Built, started, and healthy."""
    empty.up()
    return empty


@pytest.fixture(scope="session")
def add_machine(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AddMachine]:
    """Enrolls machines; their agents end with the tests."""
    machines: list[Machine] = []

    def add(name: str, *, always_on: bool) -> Machine:
        folder: Path = tmp_path_factory.mktemp(name)
        machines.append(Machine(deployment, folder, name, always_on=always_on))
        return machines[-1]

    yield add
    for machine in machines:
        machine.stop()


@pytest.fixture(scope="session")
def server(add_machine: AddMachine) -> Machine:
    """An always-on host that stays connected through all tests, with something to back up."""
    machine = add_machine("server-1", always_on=True)
    machine.add_backup()
    machine.start()
    machine.until_display("online")
    return machine
