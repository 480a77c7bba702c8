"""One connection to NATS that never gives up, with the traps of nats-py kept in this one place.

- A closed client stays closed for good (an authorization error in mid-life does that): a new one is
  dialled, and every subscription is made again on it.
- A PING may overtake a SUB that still waits in the client's buffer, and a late PONG for a flush
  that was given up kills the client's read loop. `barrier` sends a message to itself instead.
- A permission violation arrives as a bare error line: whoever waits on that subject is told.
- Messages are handed to a plain function as they are parsed: no queue, no task, no limit at which
  they would silently be dropped.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlparse

import structlog
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from libs.common.bus.base import BusAway, PublishRefused
from libs.common.bus.nats_client import Message, MessageHandler, QuickClient, Sink
from libs.common.bus.nats_replies import Replies
from libs.common.ids import new_id

log = structlog.get_logger()

ANSWER_TIMEOUT = timedelta(seconds=5)
RETRY_SECONDS = 0.25
_VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Where the bus is and who we are on it. `user` also names our inboxes and consumers."""

    url: str
    user: str | None = None
    password: str | None = None
    creds: str | None = None
    ca: str | None = None
    name: str = "dormice"

    @property
    def label(self) -> str:
        """The user's name, wherever it was given; it is the prefix of everything that is ours."""
        return self.user or urlparse(self.url).username or self.name


@dataclass(eq=False, slots=True)
class Registration:
    """A subscription that outlives any one client."""

    subject: str
    queue: str
    handler: MessageHandler
    current: Subscription | None = None


class Link:
    """The connection under one user. `violations` counts refused subjects."""

    def __init__(self, settings: LinkSettings) -> None:
        self.settings = settings
        self.generation = 0
        self.violations: Counter[str] = Counter()
        self.inbox = f"_INBOX_{settings.label}.{new_id()}"
        self._client = QuickClient()
        self._dialled = False
        self._up = asyncio.Event()
        self._closing = False
        self._dialler: asyncio.Task[None] | None = None
        self._registrations: list[Registration] = []
        self._waiting: dict[str, Replies] = {}
        self._token = 0
        self._watchers: set[Callable[[], None]] = set()
        self._last_complaint = ""
        self._registrations.append(Registration(f"{self.inbox}.r.*", "", self._on_reply))

    # --- being connected -------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._up.is_set() and self._client.is_connected

    @property
    def max_payload(self) -> int:
        return self._client.max_payload

    async def connect(self) -> None:
        if self._dialler is None:
            self._dialler = asyncio.create_task(self._dial())
        await self._up.wait()

    async def wait_connected(self) -> None:
        await self._up.wait()

    async def close(self) -> None:
        self._closing = True
        if self._dialler is not None:
            self._dialler.cancel()
            await asyncio.gather(self._dialler, return_exceptions=True)
        if not self._client.is_closed and self._client.options:
            await self._client.close()
        self._went_down()

    async def _dial(self) -> None:
        """Connect a new client, for as long as it takes, and subscribe everything on it."""
        while True:
            client = self._client = QuickClient()
            self._dialled = False
            try:
                await client.connect(**self._options())
                for registration in self._registrations:
                    await self._subscribe_on(client, registration)
                self._dialled = True
                if client.is_connected:
                    self._came_up()
            except (NatsError, OSError, TimeoutError) as error:
                await self._on_error(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return  # From here the client reconnects by itself, or tells _on_closed.

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "servers": [part.strip() for part in self.settings.url.split(",")],
            "name": self.settings.name,
            "user": self.settings.user,
            "password": self.settings.password,
            "user_credentials": self.settings.creds,
            "inbox_prefix": f"_INBOX_{self.settings.label}",
            "allow_reconnect": True,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": RETRY_SECONDS,
            "connect_timeout": 2,
            "ping_interval": 10,
            "pending_size": 8 * 2**20,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
            "closed_cb": self._on_closed,
        }
        if self.settings.ca:
            options["tls"] = ssl.create_default_context(cafile=self.settings.ca)
        return options

    def _came_up(self) -> None:
        self.generation += 1
        self._last_complaint = ""
        self._up.set()
        log.info("bus_connected", user=self.settings.label, generation=self.generation)

    def _went_down(self) -> None:
        self._up.clear()
        for watcher in list(self._watchers):
            watcher()
        for replies in list(self._waiting.values()):
            replies.fail(BusAway("The connection to the bus broke."))

    async def _on_disconnected(self) -> None:
        if not self._closing and self._up.is_set():
            log.warning("bus_lost", user=self.settings.label)
        self._went_down()

    async def _on_reconnected(self) -> None:
        if self._dialled:
            self._came_up()

    async def _on_closed(self) -> None:
        if not self._closing:
            self._dialler = asyncio.create_task(self._dial())

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        if found := _VIOLATION.search(text.lower()):
            self._on_violation(found[1], found[2])
        elif "authorization" in text.lower():
            self._complain("bus_refused_credentials", text)
        elif not self.connected:
            self._complain("bus_unreachable", text)
        else:
            log.warning("bus_error", user=self.settings.label, error=text)

    def _complain(self, event: str, text: str) -> None:
        """Log once per kind of trouble, not once per try."""
        if event != self._last_complaint:
            self._last_complaint = event
            log.error(event, user=self.settings.label, url=self._safe_url(), error=text)

    def _safe_url(self) -> str:
        return re.sub(r"//[^@/]*@", "//", self.settings.url)

    def _on_violation(self, action: str, subject: str) -> None:
        """Tell whoever waits on `subject`, which nats-py has lower-cased."""
        if not subject.startswith("$js.api.stream.create."):  # Asking is how one learns of rights.
            self.violations[f"{action} {subject}"] += 1
            log.error("bus_denied", user=self.settings.label, action=action, subject=subject)
        for replies in list(self._waiting.values()):
            if any(subject == sent.lower() for sent in replies.subjects):
                replies.fail(PublishRefused(f"This user may not send to {subject}."))

    # --- sending and asking ----------------------------------------------------------------------

    async def send(
        self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Hand one message to the connection.

        Raises:
            BusAway: not connected; nothing is buffered for later.
            PublishRefused: larger than this server takes.
        """
        if not self.connected:
            raise BusAway
        try:
            await self._client.publish(subject, data, reply, headers or None)
        except MaxPayloadError:
            raise PublishRefused(f"A message of {len(data)} bytes is too large.") from None
        except (NatsError, OSError) as error:
            raise BusAway(str(error)) from None

    def expect(self, replies: Replies) -> str:
        """Return a reply subject whose message goes to `replies`."""
        self._token += 1
        token = f"{self.inbox}.r.{self._token}"
        self._waiting[token] = replies
        return token

    def forget(self, tokens: Iterable[str]) -> None:
        for token in tokens:
            self._waiting.pop(token, None)

    def _on_reply(self, message: Message) -> None:
        replies = self._waiting.pop(message.subject, None)
        if replies is not None:
            replies.take(message)

    async def request(
        self, subject: str, data: bytes = b"", timeout: timedelta = ANSWER_TIMEOUT
    ) -> Message:
        """Send and return the one answer, whatever its status.

        Raises:
            BusAway: not connected, or no answer in time.
            PublishRefused: no right to send there.
        """
        replies = Replies(1, (subject,))
        token = self.expect(replies)
        try:
            await self.send(subject, data, reply=token)
            return (await replies.wait(timeout))[0]
        finally:
            self.forget((token,))

    async def barrier(self) -> None:
        """Return when the server has processed all that was sent before, subscriptions included."""
        replies = Replies(1, ())
        token = self.expect(replies)
        try:
            await self.send(token, b"")
            await replies.wait(ANSWER_TIMEOUT)
        finally:
            self.forget((token,))

    # --- subscribing -----------------------------------------------------------------------------

    async def subscribe(
        self, subject: str, handler: MessageHandler, queue: str = ""
    ) -> Registration:
        """Give `handler` each message on `subject`, across reconnects; it must not block."""
        registration = Registration(subject, queue, handler)
        self._registrations.append(registration)
        if self._dialled:
            await self._subscribe_on(self._client, registration)
        return registration

    async def unsubscribe(self, registration: Registration) -> None:
        if registration in self._registrations:
            self._registrations.remove(registration)
        try:
            if registration.current is not None:
                await registration.current.unsubscribe()
        except NatsError:
            pass  # The client it belonged to is closed.

    async def _subscribe_on(self, client: QuickClient, registration: Registration) -> None:
        registration.current = await client.subscribe(
            registration.subject, queue=registration.queue, future=Sink(registration.handler)
        )

    def watch(self, went_down: Callable[[], None]) -> None:
        """Call `went_down` whenever the connection breaks."""
        self._watchers.add(went_down)

    def unwatch(self, went_down: Callable[[], None]) -> None:
        self._watchers.discard(went_down)
