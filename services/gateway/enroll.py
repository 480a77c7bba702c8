"""`POST /enroll`: an enrollment token becomes a host and its agent token."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common import rpc
from libs.common.bus.base import Bus, BusAway, NoResponder
from libs.common.clock import Clock
from libs.common.errors import BadInput, DormiceError, TooManyTries, Unavailable, status_of
from services.gateway import policy
from services.gateway.measures import Measures

MAX_BODY_BYTES = 64 * 1024
MAX_ADDRESSES = 10_000
RETRY_AFTER_SECONDS = 60

_COUNTED = frozenset({401, 409, 413, 422})
"""Failures that are the caller's own. That the registry is away is not."""


class EnrollBody(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    token: Annotated[str, Field(min_length=1, max_length=512)]
    hostname: Annotated[str, Field(min_length=1, max_length=256)]
    os: Annotated[str, Field(max_length=32)]
    arch: Annotated[str, Field(max_length=32)]
    timezone: Annotated[str, Field(max_length=64)]
    name: Annotated[str, Field(max_length=256)] | None = None


class FailedTries:
    """When which address failed, within the last minute; in memory, bounded."""

    def __init__(self) -> None:
        self._at: dict[str, deque[datetime]] = {}

    def check(self, address: str, now: datetime) -> None:
        """Raises: TooManyTries."""
        if not policy.has_tries_left(tuple(self._at.get(address, ())), now):
            raise TooManyTries("too many failed tries from this address; wait a minute")

    def note(self, address: str, now: datetime) -> None:
        tries = self._at.pop(address, None) or deque(maxlen=policy.FAILED_TRIES)
        tries.append(now)
        self._at[address] = tries  # At the end: the front is who failed longest ago.
        if len(self._at) > MAX_ADDRESSES:
            del self._at[next(iter(self._at))]


class Enrollment:
    def __init__(self, bus: Bus, clock: Clock, measures: Measures) -> None:
        self._bus, self._clock, self._measures = bus, clock, measures
        self._tries = FailedTries()

    def route(self) -> HTTPRouteHandler:
        @post("/enroll", request_max_body_size=None, include_in_schema=False)
        async def enroll(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
            address = request.client.host if request.client else ""
            answer = await self._answer(address, request)
            self._measures.count_enrollment(answer.status_code or 500)
            return answer

        return enroll

    async def _answer(self, address: str, request: Request[Any, Any, Any]) -> Response[Any]:
        try:
            self._tries.check(address, self._clock.now())
            body = parse(await read_bounded(request))
            return Response(await self._enroll(body), status_code=201)
        except DormiceError as error:
            status = int(error.fields.get("status", status_of(error.code)))
            if status in _COUNTED:
                self._tries.note(address, self._clock.now())
            return problem(error, status)

    async def _enroll(self, body: EnrollBody) -> dict[str, Any]:
        """Raises: DormiceError with the registry's code, Unavailable if it is away."""
        try:
            reply = await rpc.call(self._bus, "registry", "enroll", body.model_dump())
        except (NoResponder, BusAway):
            raise Unavailable("the registry is away; try again") from None
        return dict(reply.result)


async def read_bounded(request: Request[Any, Any, Any]) -> bytes:
    """Raises: BadInput if the body is larger than any enrollment."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise BadInput(f"the body is larger than {MAX_BODY_BYTES} bytes", status=413)
        parts.append(part)
    return b"".join(parts)


def parse(data: bytes) -> EnrollBody:
    """Raises: BadInput that names the field."""
    try:
        return EnrollBody.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{where}: {first['msg']}" if where else first["msg"]) from None


def problem(error: DormiceError, status: int) -> Response[Any]:
    """RFC 9457, with the error's own fields beside (`free_name`)."""
    fields = {key: value for key, value in error.fields.items() if key != "status"}
    body = {"type": "about:blank", "title": error.code.replace("_", " "), "status": status,
            "detail": error.message, "code": error.code, **fields}  # fmt: skip
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if status == 429 else {}
    return Response(
        body, status_code=status, media_type="application/problem+json", headers=headers
    )
