"""Connects to vetted addresses only.

A name is resolved on every connect, each of its addresses is judged, and the connection goes to the
very address that was judged: a name that answers differently the next moment gains nothing. The
name itself stays in the Host header and in TLS (SNI and certificate).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Sequence

import certifi

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
    """Return a connected socket, for whoever brings a protocol.

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


def trust() -> ssl.SSLContext:
    """Return what TLS trusts: the system's authorities (also private ones) and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
