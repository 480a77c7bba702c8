"""Calls between services: `dormice-rpc.<service>.<verb>`, JSON both ways.

Request: {actor, arguments}. Answer: {result, seq} or {error: {code, message, fields}}. `seq` is the
log sequence of the last event that the call caused (0 if none): who wants to read its own write
waits until its read model has reached it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from libs.common.bus.base import Bus
from libs.common.errors import DormiceError, RemoteError
from libs.common.events.host import SYSTEM, Actor

CALL_TIMEOUT = timedelta(seconds=10)


class CallBody(BaseModel):
    actor: Actor
    arguments: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Reply:
    result: Any
    seq: int


def rpc_subject(service: str, verb: str) -> str:
    return f"dormice-rpc.{service}.{verb}"


def encode_reply(result: Any, seq: int) -> bytes:
    return json.dumps({"result": result, "seq": seq}).encode()


def encode_error(error: DormiceError) -> bytes:
    body = {"code": error.code, "message": error.message, "fields": error.fields}
    return json.dumps({"error": body}, default=str).encode()


def decode_reply(data: bytes) -> Reply:
    """Raises: RemoteError with the other side's code."""
    body = json.loads(data)
    if "error" in body:
        error = body["error"]
        raise RemoteError(error["code"], error["message"], **error.get("fields", {}))
    return Reply(body["result"], body["seq"])


async def call(
    bus: Bus, service: str, verb: str, arguments: dict[str, Any] | None = None, *,
    actor: Actor = SYSTEM, timeout: timedelta = CALL_TIMEOUT,
) -> Reply:  # fmt: skip
    """Ask a service.

    Raises: RemoteError (its answer), NoResponder (it is not there), BusAway (unknown).
    """
    body = CallBody(actor=actor, arguments=arguments or {})
    data = body.model_dump_json().encode()
    return decode_reply(await bus.call(rpc_subject(service, verb), data, timeout))
