"""Answers the calls that a machine's verbs serve: rights, arguments, decision, answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_jsonable_python

from libs.common.bus.base import LiveHandler
from libs.common.clock import from_micros
from libs.common.errors import BadInput, DormiceError, Forbidden, NotFound
from libs.common.events.host import Actor
from libs.common.loop.machine import ROLES, Verb
from libs.common.loop.tx import Tx
from libs.common.rpc import CallBody, encode_error, encode_reply, rpc_subject

if TYPE_CHECKING:
    from libs.common.loop.service import Service

log = structlog.get_logger()


BEAT_SUBJECT = "dormice-live.beat.*"


async def serve(service: Service, on_live: LiveHandler) -> None:
    """Answer the machine's calls and hear its live messages from now on, across reconnects."""

    async def answer(subject: str, data: bytes) -> bytes:
        return await answer_call(service, subject.rpartition(".")[2], data)

    machine = service.machine
    await service.bus.serve(rpc_subject(machine.name, "*"), answer)
    beats = {BEAT_SUBJECT} if machine.needs_beat else set()
    for pattern in machine.live.keys() | beats:
        await service.bus.listen(pattern, on_live)


class DecisionsOf(BaseModel):
    """Arguments of the verb `decisions` that every service serves."""

    host_id: str
    limit: int = Field(default=100, ge=1, le=1000)
    before: int | None = Field(default=None, ge=-(2**63), lt=2**63)


def list_decisions(tx: Tx, _: Actor, wanted: DecisionsOf) -> list[dict[str, Any]]:
    """Return why things were decided for a host, newest first (R19)."""
    rows = tx.db.execute(
        "SELECT row_id, at, host_id, what, rule, text, facts FROM decision "
        "WHERE host_id = ? AND row_id < ? ORDER BY row_id DESC LIMIT ?",
        (wanted.host_id, wanted.before or 2**62, wanted.limit),
    )
    names = ("id", "at", "host_id", "what", "rule", "text", "facts")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for row in found:
        row["at"], row["facts"] = from_micros(row["at"]), json.loads(row["facts"])
        row["service"] = tx.source.removeprefix("dormice/").partition("/")[0]
    return found


DECISIONS = Verb(list_decisions, DecisionsOf)


async def answer_call(service: Service, verb: str, data: bytes) -> bytes:
    """Return the encoded answer to a call; every error is an answer."""
    try:
        entry, actor, arguments = parse_call(service, verb, data)
        done = await service.submit(
            lambda tx: to_jsonable_python(entry.handler(tx, actor, arguments)), fresh=True
        )
        return encode_reply(done.result, done.seq)
    except DormiceError as error:
        return encode_error(error)
    except Exception as error:
        log.exception("call_failed", service=service.machine.name, verb=verb)
        return encode_error(DormiceError(f"internal error: {type(error).__name__}"))


def parse_call(service: Service, verb: str, data: bytes) -> tuple[Verb, Actor, BaseModel]:
    """Raises: NotFound (no such verb), Forbidden, BadInput."""
    entry = DECISIONS if verb == "decisions" else service.machine.verbs.get(verb)
    if entry is None:
        raise NotFound(f"{service.machine.name} has no verb {verb}")
    try:
        body = CallBody.model_validate_json(data)
        if ROLES.index(body.actor.role) < ROLES.index(entry.role):
            raise Forbidden(f"{verb} needs the role {entry.role}")
        return entry, body.actor, entry.arguments.model_validate(body.arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{where}: {first['msg']}" if where else first["msg"]) from None
