"""`POST /enroll`: an enrollment token becomes a host and its agent token."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common import rpc
from libs.common.bus.base import Bus, BusAway, NoResponder
from libs.common.clock import Clock
from libs.common.errors import BadInput, DormiceError, Unavailable, status_of
from services.gateway.measures import Measures
from services.gateway.tries import FailedTries

MAX_BODY_BYTES = 64 * 1024
RETRY_AFTER_SECONDS = 60

_COUNTED = frozenset({401, 409, 422})
"""Failures that are the caller's own. That the registry is away is not."""


class EnrollBody(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    token: Annotated[str, Field(min_length=1, max_length=512)]
    hostname: Annotated[str, Field(min_length=1, max_length=256)]
    os: Annotated[str, Field(max_length=32)]
    arch: Annotated[str, Field(max_length=32)]
    timezone: Annotated[str, Field(max_length=64)]
    name: Annotated[str, Field(max_length=256)] | None = None


class Enrollment:
    def __init__(self, bus: Bus, clock: Clock, measures: Measures) -> None:
        self._bus, self._measures = bus, measures
        self._tries = FailedTries(clock)

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
            self._tries.check(address)
            data = await read_bounded(request)
            async with self._tries.turn(address):
                return await self._try(address, data)
        except DormiceError as error:
            return problem(error)

    async def _try(self, address: str, data: bytes) -> Response[Any]:
        """Raises: DormiceError; one that is the caller's own fault is counted."""
        try:
            return Response(await self._enroll(parse(data)), status_code=201)
        except DormiceError as error:
            if status_of(error.code) in _COUNTED:
                self._tries.note(address)
            raise

    async def _enroll(self, body: EnrollBody) -> dict[str, Any]:
        """Raises: DormiceError with the registry's code, Unavailable if it is away."""
        try:
            reply = await rpc.call(self._bus, "registry", "enroll", body.model_dump())
        except (NoResponder, BusAway):
            raise Unavailable("the registry is away; try again") from None
        return dict(reply.result)


async def read_bounded(request: Request[Any, Any, Any]) -> bytes:
    """Return the body, or as much of it as shows that it is larger than any enrollment."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY_BYTES:
            break
    return bytes(data)


def parse(data: bytes) -> EnrollBody:
    """Raises: BadInput that names the field."""
    if len(data) > MAX_BODY_BYTES:
        raise BadInput(f"the body is larger than {MAX_BODY_BYTES} bytes", status=413)
    try:
        return EnrollBody.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{where}: {first['msg']}" if where else first["msg"]) from None


def problem(error: DormiceError) -> Response[Any]:
    """RFC 9457, with the error's own fields beside (`free_name`)."""
    status = int(error.fields.get("status", status_of(error.code)))
    fields = {key: value for key, value in error.fields.items() if key != "status"}
    body = {"type": "about:blank", "title": error.code.replace("_", " "), "status": status,
            "detail": error.message, "code": error.code, **fields}  # fmt: skip
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if status == 429 else {}
    return Response(
        body, status_code=status, media_type="application/problem+json", headers=headers
    )
