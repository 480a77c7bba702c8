"""The compose file against the code: what it names exists, and what exists is named there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.services import NAMES, settings_class
from libs.common.bus.rights import USERS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BUS_USERS = sorted(set(USERS) - {"reader"})  # `reader` is for systems that are not ours.


@pytest.mark.parametrize("name", [*NAMES, "setup", "setup-readers"])
def test_each_part_has_a_container_and_a_volume_of_its_own(name: str) -> None:
    service = SERVICES[name]
    assert service["command"] == ["run", name]
    assert service["volumes"] == [f"{name}:/data"]
    assert service["image"] == SERVICES["init"]["image"]


@pytest.mark.parametrize("name", NAMES)
def test_each_service_is_asked_whether_it_is_ready(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][:2] == ["CMD", "dormice-ready"]
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_init_reaches_exactly_the_volumes_of_the_bus_users() -> None:
    mounts = dict(mount.split(":", 1) for mount in SERVICES["init"]["volumes"])
    assert sorted(set(mounts) - {"nats-config", "nats-store"}) == BUS_USERS
    assert all(target == f"/init/{volume}" for volume, target in mounts.items())
    assert set(mounts) == set(COMPOSE["volumes"])


def test_the_image_has_the_folders_that_the_volumes_begin_with() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    for volume in COMPOSE["volumes"]:
        assert re.search(rf"(/init/| ){re.escape(volume)}\b", dockerfile), volume


@pytest.mark.parametrize("name", NAMES)
def test_each_service_is_handed_every_setting_that_it_has(name: str) -> None:
    """Those that a container has no use for, or that are its own business, aside."""
    own = {"DORMICE_GATEWAY_ID"}
    settings = settings_class(name)
    wanted = {settings.variable(field) for field in settings.model_fields} - own
    assert wanted - set(SERVICES[name]["environment"]) == set()


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"\bDORMICE_[A-Z_]+\b", TEXT))))
def test_each_variable_is_documented(variable: str) -> None:
    pages = ("configuration.md", "deployment.md")
    assert any(f"| `{variable}` |" in (ROOT / "docs" / page).read_text() for page in pages)
