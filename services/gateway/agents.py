"""The WebSocket endpoint `/agent/v1`: one coroutine per connection, from dial to disconnect.

    accept ─▶ whose token? ─▶ hello ─▶ durable ─▶ welcome ─▶ frames … ─▶ disconnect
               4401, 4503      4400, 4408, 4426, 4409, 4503

Reading never stops because a write failed: what the agent had sent before it went still counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from libs.common.bus.base import Bus
from libs.common.clock import Clock
from libs.common.errors import DormiceError
from libs.common.frames import decode_agent_frame
from libs.common.ids import new_id
from libs.common.loop.service import Service
from libs.common.protocol import (
    PROTOCOL,
    AgentFrame,
    BadFrame,
    Beat,
    CloseCode,
    Goodbye,
    Heartbeat,
    Hello,
    JobLog,
    JobProgress,
    NoCommonProtocol,
    Welcome,
)
from services.gateway import policy, sessions
from services.gateway.configs import Configs
from services.gateway.connections import Connection, Hub, Send, State
from services.gateway.errors import CloseConnection, try_later
from services.gateway.intake import Intake, is_ignored
from services.gateway.live import send_job_frame
from services.gateway.measures import Measures
from services.gateway.pacer import Pacer
from services.gateway.pulse import Pulse
from services.gateway.reports import Received
from services.gateway.sessions import Offer, Refused
from services.gateway.settings import (
    HELLO_TIMEOUT,
    HELLOS_AT_ONCE,
    HELLOS_PER_SECOND,
    GatewaySettings,
)
from services.gateway.tokens import Caller, Callers, bearer_token

log = structlog.get_logger()

READY_SECONDS = 5.0

Receive = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the endpoint works with."""

    settings: GatewaySettings
    service: Service
    bus: Bus
    clock: Clock
    hub: Hub
    pulse: Pulse
    configs: Configs
    measures: Measures


class AgentEndpoint:
    """The ASGI application of `/agent/v1`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._hub = parts.hub
        self._intake = Intake(parts.service)
        self._callers = Callers(parts.service, parts.bus)
        self._pacer = Pacer(HELLOS_PER_SECOND, HELLOS_AT_ONCE)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "websocket.accept"})
        except OSError:
            return
        address = scope["client"][0] if scope["client"] else ""
        connection = Connection(send, scope["extensions"].get("dormice.abort"), address)
        serving = self._serve(connection, bearer_token(scope["headers"]), receive)
        scope.clear()  # It lives as long as the connection, and is most of what one holds.
        self._hub.all.add(connection)
        try:
            await serving
        except _GoneError:
            pass
        finally:
            await connection.finish_closing()
            self._hub.release(connection)

    async def _serve(self, connection: Connection, secret: str | None, receive: Receive) -> None:
        loop = asyncio.get_running_loop()
        connection.timer = loop.call_later(
            HELLO_TIMEOUT.total_seconds(), connection.close, CloseCode.NO_HELLO, "no hello in time"
        )
        try:
            caller = await self._identify(secret)
            del secret
            if await self._join(connection, caller, receive):
                del caller
                await self._read_frames(connection, receive)
        except CloseConnection as end:
            self._parts.measures.count_close(end.close_code)
            connection.close(end.close_code, end.message)
        except DormiceError as error:
            log.error("connection_failed", host_id=connection.host_id, error=error.message)
            connection.close(CloseCode.TRY_LATER, error.message)

    async def _identify(self, secret: str | None) -> Caller:
        """Raises: CloseConnection."""
        if not self._hub.ready.is_set():
            try:
                async with asyncio.timeout(READY_SECONDS):
                    await self._hub.ready.wait()
            except TimeoutError:
                raise try_later("the bus is away") from None
        return await self._callers.identify(secret)

    # -- hello -------------------------------------------------------------------------------------

    async def _join(self, connection: Connection, caller: Caller, receive: Receive) -> bool:
        """Take the hello; False if the connection was closed meanwhile. Raises: CloseConnection."""
        frame = decode(await _next_message(receive))
        if not isinstance(frame, Hello):
            raise CloseConnection(CloseCode.BAD_FRAME, "the first frame must be hello")
        connection.become(State.JOINING)
        offer = self._offer(connection, caller, frame)
        async with self._pacer.turn():
            if self._hub.stopping:
                raise try_later("this gateway stops")
            if is_ignored(connection):
                return False
            decided = await self._decide(self._as_of_now(connection, offer))
        if isinstance(decided, Refused):
            raise CloseConnection(decided.code, decided.reason)
        if is_ignored(connection):  # A newer one came while this one became durable.
            return False
        await self._welcome(connection, behind=decided.behind)
        return True

    def _offer(self, connection: Connection, caller: Caller, hello: Hello) -> Offer:
        now = self._parts.clock.now()
        session = new_id()
        self._hub.claim(connection, caller.token.host_id, session)
        connection.offset = policy.clock_offset(hello.now, now)
        connection.last_seen = connection.flushed_at = now
        return Offer(session, caller.token, caller.new_hash, hello, connection.offset,
                     connection.address, now)  # fmt: skip

    def _as_of_now(self, connection: Connection, offer: Offer) -> Offer:
        """A hello may have waited its turn, and the agent could not beat: that is no silence."""
        now = self._parts.clock.now()
        connection.last_seen = connection.flushed_at = now
        return replace(offer, received_at=now)

    async def _decide(self, offer: Offer) -> sessions.Accepted | Refused:
        settings = self._parts.settings
        try:
            done = await self._parts.service.submit(
                lambda tx: sessions.take_hello(tx, offer, settings)
            )
        except DormiceError as error:
            raise try_later(f"hello cannot be stored now: {error.message}") from None
        decided: sessions.Accepted | Refused = done.result
        return decided

    async def _welcome(self, connection: Connection, *, behind: bool) -> None:
        parts = self._parts
        await connection.send(
            Welcome(
                session=connection.session,
                host_id=connection.host_id,
                protocol=PROTOCOL,
                server_time=parts.clock.now(),
                heartbeat_interval=parts.settings.agent_interval.total_seconds(),
            )
        )
        self._hub.welcome(connection)
        parts.measures.count_welcome()
        if behind or connection.config_wanted:
            parts.configs.push(connection)

    # -- frames ------------------------------------------------------------------------------------

    async def _read_frames(self, connection: Connection, receive: Receive) -> None:
        """Read until the socket is gone. Raises: CloseConnection, _GoneError."""
        while (message := await receive())["type"] != "websocket.disconnect":
            if not is_ignored(connection):
                await self._take(connection, message)
        raise _GoneError

    async def _take(self, connection: Connection, message: dict[str, Any]) -> None:
        now = self._parts.clock.now()
        frame = decode(message)
        self._parts.pulse.note_frame(connection, now)
        if frame is None:
            return
        self._parts.measures.count_frame(frame.type)
        if isinstance(frame, Heartbeat):
            if frame.now is not None:
                connection.offset = policy.clock_offset(frame.now, now)
            await connection.send(Beat(server_time=now))
        elif isinstance(frame, Hello):
            raise CloseConnection(CloseCode.BAD_FRAME, "hello was said before")
        elif isinstance(frame, JobProgress | JobLog):
            send_job_frame(self._parts.bus, connection.host_id, frame)
        else:
            if isinstance(frame, Goodbye):
                connection.become(State.LEAVING)
            received = Received(frame, now, connection.offset)
            await self._intake.put(connection, received, len(message["text"]))


class _GoneError(Exception):
    """The socket is gone, and nothing of it is left to read."""


async def _next_message(receive: Receive) -> dict[str, Any]:
    message = await receive()
    if message["type"] == "websocket.disconnect":
        raise _GoneError
    return message


def decode(message: dict[str, Any]) -> AgentFrame | None:
    """Return the frame of an ASGI message. Raises: CloseConnection."""
    text = message.get("text")
    if text is None:
        raise CloseConnection(CloseCode.BAD_FRAME, "frames are text")
    try:
        return decode_agent_frame(text)
    except NoCommonProtocol as error:
        raise CloseConnection(CloseCode.NO_COMMON_PROTOCOL, error.message) from None
    except BadFrame as error:
        raise CloseConnection(CloseCode.BAD_FRAME, error.message) from None
