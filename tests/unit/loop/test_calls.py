"""R20: a call is decided only for who has the role, whoever passes it on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from libs.common.bus.memory import MemoryBus, MemoryLog
from libs.common.errors import BadInput, Forbidden, NotFound
from libs.common.events.host import Actor
from libs.common.loop.calls import parse_call
from libs.common.loop.machine import ROLES, Verb
from libs.common.loop.service import Service
from libs.common.rpc import CallBody
from libs.common.store.database import Database
from tests.integration.loop.counter import Counter


class Wish(BaseModel):
    host_id: str


class Served(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.verbs = {role: Verb(lambda *_: None, Wish, role) for role in ROLES}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    database = Database(tmp_path / "counter.db", Counter.package)
    return Service(Served(), MemoryBus(MemoryLog()), database)


def call(role: Any = "admin", **arguments: Any) -> bytes:
    actor = Actor(kind="operator", id="op-1", name="ada", role=role)
    return CallBody(actor=actor, arguments=arguments).model_dump_json().encode()


@pytest.mark.parametrize("needed", ROLES)
@pytest.mark.parametrize("role", ROLES)
def test_r20_a_verb_asks_for_its_role(service: Service, role: str, needed: str) -> None:
    if ROLES.index(role) >= ROLES.index(needed):
        _, actor, _ = parse_call(service, needed, call(role, host_id="h1"))
        assert actor.role == role
    else:
        with pytest.raises(Forbidden, match=needed):
            parse_call(service, needed, call(role, host_id="h1"))


def test_r20_a_body_that_names_no_caller_is_refused(service: Service) -> None:
    with pytest.raises(BadInput, match="actor"):
        parse_call(service, "viewer", b'{"arguments": {"host_id": "h1"}}')


def test_a_wrong_argument_is_named(service: Service) -> None:
    with pytest.raises(BadInput, match="host_id"):
        parse_call(service, "viewer", call())


def test_an_unknown_verb(service: Service) -> None:
    with pytest.raises(NotFound, match="presence has no verb dance"):
        parse_call(service, "dance", call(host_id="h1"))
