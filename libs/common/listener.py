"""An HTTP listener inside the running event loop: several in one process, no signal handlers.

uvicorn's own `serve` takes over SIGINT and SIGTERM and ends the process when it cannot bind; here
the process belongs to whoever started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import uvicorn

from libs.common.addresses import parse_listen
from libs.common.clock import monotonic_seconds
from libs.common.errors import SettingsError

BACKLOG = 4096
ACCEPTS_AT_ONCE = 64
"""asyncio accepts so many before it looks at anything else: thousands at once, in a storm, would
leave every other socket of the process without an answer for seconds."""
BIND_WAIT_SECONDS = 5.0
STOP_SECONDS = 2
_CUT = b'{"type":"urn:dormice:problem:unavailable","title":"Service Unavailable","status":503}'


class _Server(uvicorn.Server):
    """Stops when told, without a tick ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leave = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.leave.wait()


class _Answering:
    """The application, whose requests are answered when the end of the process cuts them off: who
    asked may try again, and nobody reads of an error that was none."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        serve = self._answer if scope["type"] == "http" else self._app
        served: Coroutine[Any, Any, None] = serve(scope, receive, send)
        return served

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        begun = False

        async def note(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except asyncio.CancelledError:
            if begun:
                return  # uvicorn closes the connection amid the answer.
            headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"1")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": _CUT})


class Listener:
    """Serves an ASGI application on `host:port` or `[::1]:port`; port 0 picks a free one."""

    def __init__(
        self, app: Any, listen: str, *, setting: str, ws: Any = "none", http: Any = "h11",
        **options: Any,
    ):  # fmt: skip
        """`setting` is the variable that errors name; `options` go to `uvicorn.Config`."""
        self._listen, self._setting = listen, setting
        self._config = uvicorn.Config(
            _Answering(app), interface="asgi3", ws=ws, http=http, loop="none", lifespan="off",
            log_config=None, access_log=False,
            backlog=ACCEPTS_AT_ONCE, server_header=False, date_header=False, proxy_headers=False,
            timeout_graceful_shutdown=STOP_SECONDS, log_level="warning", **options,
        )  # fmt: skip
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.address: tuple[str, int] = ("", 0)

    @property
    def url(self) -> str:
        """Where it listens, as `http://host:port`."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Bind, waiting a little for a dying predecessor, and serve. Raises: SettingsError."""
        sock = await self._bind()
        self.address = sock.getsockname()[:2]
        self._server = _Server(self._config)
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0)
        if self._server.started:
            sock.listen(BACKLOG)  # The kernel keeps them in the meantime.

    async def _bind(self) -> socket.socket:
        deadline = monotonic_seconds() + BIND_WAIT_SECONDS
        while True:
            try:
                return bind(self._listen)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or monotonic_seconds() > deadline:
                    why = error.strerror or str(error)
                    message = f"{self._setting}: cannot listen on {self._listen}: {why}"
                    raise SettingsError(message) from None
            except ValueError as error:
                raise SettingsError(f"{self._setting}: {error}") from None
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Close the listener and every connection; returns within a few seconds."""
        if self._server is not None and self._task is not None:
            self._server.leave.set()
            await asyncio.gather(self._task, return_exceptions=True)


def bind(listen: str) -> socket.socket:
    """Return a bound TCP socket. Raises: OSError, ValueError."""
    host, port = parse_listen(listen)
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
