"""What the registry's tests share: a machine in a rig, and a host that is enrolled there."""

from __future__ import annotations

from typing import Any

from libs.common.events.agent import AgentHello
from libs.common.events.base import Event
from libs.common.events.host import SYSTEM, Audit
from libs.common.security import Vault
from libs.common.testing.rig import Rig
from services.registry.machine import RegistryMachine

VAULT = Vault.generate()
LAPTOP = {"hostname": "laptop-7", "os": "linux", "arch": "x86_64", "timezone": "Europe/Berlin"}


def make_rig(**options: Any) -> Rig:
    return Rig(RegistryMachine(VAULT), **options)


def new_token(rig: Rig, **wanted: Any) -> str:
    token: str = rig.ask("create_enrollment_token", **wanted)["token"]
    return token


def enroll(rig: Rig, token: str | None = None, **facts: Any) -> dict[str, str]:
    """Return {host_id, agent_token} of a host that joins, with a new token or the given one."""
    answer: dict[str, str] = rig.ask(
        "enroll", SYSTEM, token=token or new_token(rig), **{**LAPTOP, **facts}
    )
    return answer


def enrolled(rig: Rig, **facts: Any) -> str:
    return enroll(rig, **facts)["host_id"]


def secrets(rig: Rig, host_id: str) -> dict[str, Any]:
    """Return what the gateway is told for a host's agent."""
    told: dict[str, Any] = rig.ask("secrets", SYSTEM, host_ids=[host_id])[host_id]
    return told


def hello(host_id: str, session: str, **facts: Any) -> AgentHello:
    reported = {"os": "linux", "arch": "x86_64", "timezone": "Europe/Berlin"}
    return AgentHello(host_id=host_id, session=session, gateway="gw-1", **{**reported, **facts})


def actions(rig: Rig) -> list[str]:
    return [entry.action for entry in rig.of(Audit)]


def facts_after(rig: Rig, mark: int) -> list[type[Event]]:
    """Return the types of the events after the first `mark`, audit entries left out."""
    return [type(event) for event in rig.log[mark:] if not isinstance(event, Audit)]
