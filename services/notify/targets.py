"""Connects to vetted addresses only.

A name is resolved on every connect, each of its addresses is judged, and the connection goes to the
very address that was judged: a name that answers differently the next moment gains nothing. The
name itself stays in the Host header and in TLS (SNI and certificate), which httpcore takes from the
request, not from the address.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import certifi
import httpcore

from services.notify.errors import TargetRefused, TargetUnknown
from services.notify.target_rules import (
    Address,
    Network,
    explain_refusal,
    find_address,
    is_allowed,
)

Resolve = Callable[[str], Sequence[Address]]
"""Host name → addresses; blocks. Raises OSError."""

SECONDS_PER_ADDRESS = 3.0
KEEP_CONNECTION_SECONDS = 5.0
IDLE_CONNECTIONS = 64
UNSENT_BYTES = 64 * 1024


def resolve(host: str) -> Sequence[Address]:
    """Ask the system's resolver. Blocks. Raises: OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = (find_address(str(entry[4][0])) for entry in found)
    return tuple(dict.fromkeys(address for address in addresses if address is not None))


class Resolver:
    """Resolves names in threads of their own, one at a time per name.

    A lookup cannot be cancelled: it may hang in a daemon thread for a while, where it keeps neither
    other names nor the end of the process waiting.
    """

    def __init__(self, ask: Resolve = resolve) -> None:
        self._ask = ask
        self._asking: dict[str, asyncio.Future[Sequence[Address]]] = {}

    async def addresses(self, host: str) -> Sequence[Address]:
        """Raises: TargetUnknown."""
        future = self._asking.get(host)
        if future is None:
            future = self._asking[host] = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda _: self._asking.pop(host, None))
            arguments = (host, future, asyncio.get_running_loop())
            threading.Thread(target=self._look_up, args=arguments, daemon=True).start()
        try:
            return await asyncio.shield(future)
        except (OSError, UnicodeError):
            raise TargetUnknown("the host name could not be resolved") from None

    def _look_up(
        self, host: str, future: asyncio.Future[Sequence[Address]], loop: asyncio.AbstractEventLoop
    ) -> None:
        try:
            found: Sequence[Address] | Exception = self._ask(host)
        except Exception as error:
            found = error if isinstance(error, OSError) else OSError(str(error))
        try:
            loop.call_soon_threadsafe(_settle, future, found)
        except RuntimeError:
            return  # The loop has ended meanwhile: nobody waits any more.


def _settle(
    future: asyncio.Future[Sequence[Address]], found: Sequence[Address] | Exception
) -> None:
    if isinstance(found, Exception):
        future.set_exception(found)
        future.exception()  # Who asked may be gone; an unread error is no fault then.
    else:
        future.set_result(found)


class TargetGuard:
    """Says which addresses of a name may be connected to."""

    def __init__(self, allowed: Sequence[Network], resolver: Resolver | None = None) -> None:
        self._allowed = allowed
        self._resolver = resolver or Resolver()

    async def vetted(self, host: str) -> Sequence[Address]:
        """Raises: TargetRefused if none is allowed, TargetUnknown."""
        literal = find_address(host)
        found = [literal] if literal else await self._resolver.addresses(host)
        if not found:
            raise TargetUnknown("the host name has no address")
        vetted = [address for address in found if is_allowed(address, self._allowed)]
        if not vetted:
            raise TargetRefused(explain_refusal(found[0]))
        return vetted


async def connect(guard: TargetGuard, host: str, port: int) -> socket.socket:
    """Return a connected socket, for libraries that bring their own protocol.

    Raises: TargetRefused, TargetUnknown, and OSError of the last address tried.
    """
    *others, last = await guard.vetted(host)
    for address in others:
        try:
            async with asyncio.timeout(SECONDS_PER_ADDRESS):
                return await _connected(address, port)
        except (OSError, TimeoutError):
            continue
    return await _connected(last, port)


async def _connected(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    link = socket.socket(family, socket.SOCK_STREAM)
    try:
        link.setblocking(False)
        await asyncio.get_running_loop().sock_connect(link, (str(address), port))
    except BaseException:
        link.close()
        raise
    return link


class Connection(httpcore.AsyncNetworkStream):
    """A connection that sends a request whole, and is closed when its TLS handshake is given up.

    httpcore writes head and body one after the other, and then reads: what was written goes out
    when it reads, as one packet. It closes a connection after an error, but not after a
    cancellation in the handshake, which is how our time runs out.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._socket = stream.get_extra_info("socket")
        self._unsent = bytearray()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        await self._flush(timeout)
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._unsent += buffer
        if len(self._unsent) > UNSENT_BYTES:
            await self._flush(timeout)

    async def _flush(self, timeout: float | None) -> None:
        if self._unsent:
            data, self._unsent = bytes(self._unsent), bytearray()
            await self._stream.write(data, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        """`is_readable`, which is asked of every idle connection at every request, is ours."""
        if info == "is_readable" and hasattr(select, "poll"):
            return self._socket is None or _is_readable(self._socket)
        return self._stream.get_extra_info(info)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        try:
            return Connection(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            await self._stream.aclose()
            raise


def _is_readable(link: socket.socket) -> bool:
    """Say whether there is something to read: of an idle connection, that the other side left."""
    if link.fileno() < 0:
        return True
    readable = select.poll()
    readable.register(link, select.POLLIN)
    return bool(readable.poll(0))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for httpcore, to vetted addresses only."""

    def __init__(self, guard: TargetGuard) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None,
        local_address: str | None = None, socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        """Raises: TargetRefused, TargetUnknown, and httpcore's own."""
        async with asyncio.timeout(timeout):
            addresses = await self._guard.vetted(host)
        *others, last = addresses
        for address in others:
            try:
                return await self._open(
                    address, port, SECONDS_PER_ADDRESS, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._open(last, port, timeout, local_address, socket_options)

    async def _open(
        self, address: Address, port: int, timeout: float | None, local_address: str | None,
        socket_options: Iterable[Any] | None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        return Connection(
            await self._inner.connect_tcp(
                str(address), port, timeout, local_address, socket_options
            )
        )

    async def connect_unix_socket(  # the interface asks for it; nothing here uses it
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise TargetRefused("local sockets are no targets")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def open_pool(guard: TargetGuard, trusted: ssl.SSLContext) -> httpcore.AsyncConnectionPool:
    """Return a pool that follows no redirect, keeps no cookie, uses no proxy and logs no URL.

    That is why it is httpcore's and not an httpx client, which does all four or some of it. It
    opens as many connections as are asked for: a bound would have one channel wait for another.
    """
    return httpcore.AsyncConnectionPool(
        ssl_context=trusted,
        max_connections=None,
        max_keepalive_connections=IDLE_CONNECTIONS,
        keepalive_expiry=KEEP_CONNECTION_SECONDS,
        network_backend=GuardedBackend(guard),
    )


def trust() -> ssl.SSLContext:
    """Return what TLS trusts: the system's authorities (also private ones) and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
