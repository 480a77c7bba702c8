"""What the system tells over its D-Bus, where it has one.

logind says before the machine sleeps, and waits until the agent has said goodbye: the agent holds
an inhibitor of kind `delay` and lets go of it then. NetworkManager says whether the network is
metered.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from jeepney import DBusAddress, FileDescriptor, MatchRule, Message, Properties, new_method_call
from jeepney.bus import find_system_bus
from jeepney.bus_messages import message_bus

from agent.dbus import DBusConnection, broadcast_name, connected, replied_to
from libs.common.logging import get_logger

LOGIND = DBusAddress(
    "/org/freedesktop/login1", "org.freedesktop.login1", "org.freedesktop.login1.Manager"
)
NETWORK = DBusAddress(
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "org.freedesktop.NetworkManager",
)
SLEEP = f"{LOGIND.interface}.PrepareForSleep"
CHANGED = "org.freedesktop.DBus.Properties.PropertiesChanged"
INHIBIT = ("sleep", "Dormice agent", "says goodbye to the control plane", "delay")
METERED = {1: True, 2: False, 3: True, 4: False}  # 3 and 4 are guesses; 0 is: not known.
RETRY_SECONDS = 60.0

log = get_logger("agent")


class SystemBus:
    """Calls `on_sleep` before the machine sleeps and `on_wake` after; knows whether the network is
    metered, None where nobody says so."""

    def __init__(
        self, *, on_sleep: Callable[[], Awaitable[None]], on_wake: Callable[[], None]
    ) -> None:
        self.metered: bool | None = None
        self._on_sleep = on_sleep
        self._on_wake = on_wake
        self._asleep = False
        self._inhibitor: FileDescriptor | None = None
        self._asked: dict[int, Callable[[Any], None]] = {}

    async def run(self) -> None:
        """Listen for ever; where there is no bus, look for one every minute."""
        last_reason = ""
        while hasattr(socket, "AF_UNIX"):
            try:
                await self._listen()
            except (OSError, EOFError, ValueError, RuntimeError) as error:
                reason = str(error) or type(error).__name__
                if reason != last_reason:
                    log.info("no_system_bus", reason=reason[:200])
                last_reason = reason
            finally:
                self._let_go()
            self._wake()  # Whoever said "sleep" cannot say "awake" any more.
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        async with connected(find_system_bus()) as bus:
            await self._subscribe(bus)
            while True:
                await self._take(bus, await bus.receive())

    async def _subscribe(self, bus: DBusConnection) -> None:
        for address, signal in ((LOGIND, SLEEP), (NETWORK, CHANGED)):
            interface, _, member = signal.rpartition(".")
            rule = MatchRule(
                type="signal",
                sender=address.bus_name,
                path=address.object_path,
                interface=interface,
                member=member,
            )
            await bus.call(message_bus.AddMatch(rule))
        await self._inhibit(bus)
        metered = Properties(NETWORK).get("Metered")
        self._asked[await bus.call(metered)] = lambda body: self._take_metered(body[0])

    async def _take(self, bus: DBusConnection, message: Message) -> None:
        take = self._asked.pop(replied_to(message) or 0, None)
        if take is not None and "error" not in message.header.message_type.name:
            take(message.body)
        signal = broadcast_name(message)
        if signal == SLEEP and message.body[0]:
            await self._sleep()
        elif signal == SLEEP:
            self._wake()
            await self._inhibit(bus)
        elif signal == CHANGED and "Metered" in message.body[1]:
            self._take_metered(message.body[1]["Metered"])

    # --- sleep ---

    async def _sleep(self) -> None:
        self._asleep = True
        try:
            await self._on_sleep()
        finally:
            self._let_go()

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            self._on_wake()

    async def _inhibit(self, bus: DBusConnection) -> None:
        call = new_method_call(LOGIND, "Inhibit", "ssss", INHIBIT)
        self._asked[await bus.call(call)] = self._hold

    def _hold(self, body: tuple[FileDescriptor]) -> None:
        self._let_go()
        self._inhibitor = body[0]

    def _let_go(self) -> None:
        if self._inhibitor is not None:
            self._inhibitor.close()
            self._inhibitor = None

    # --- the network ---

    def _take_metered(self, variant: tuple[str, int]) -> None:
        self.metered = METERED.get(variant[1])
