"""What a service needs of the bus, and nothing more. Two things implement it: NATS and memory.

A **log** is one totally ordered sequence of stored events (stream `EVENTS`). A **reader** walks it
from a sequence and says loudly when it can no longer promise that nothing was skipped. A **bucket**
holds current state by key. **Live** messages are stored nowhere. A **call** is a request with one
answer.

Every method may raise `BusAway` (try again when the bus is back); nothing here blocks for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

from libs.common.errors import DormiceError


class BusAway(DormiceError):
    """The bus cannot be reached, or did not answer in time. Nothing is known of the request."""

    code = "bus_away"


class ReaderLost(DormiceError):
    """The reader may have skipped something: make a new one from the committed position.

    Causes: a gap in the consumer's sequence, a reconnect, status 409 or 503, missed heartbeats.
    """

    code = "reader_lost"


class LogMissing(DormiceError):
    """The stream does not exist on this bus, and this user may not create it."""

    code = "log_missing"


class NoResponder(DormiceError):
    """Nobody serves this call right now."""

    code = "no_responder"


class PublishRefused(DormiceError):
    """The bus refused a message and will refuse it again (no rights, too large)."""

    code = "publish_refused"


@dataclass(frozen=True, slots=True)
class LogInfo:
    """The log's identity and extent. An empty log has last_seq = first_seq - 1."""

    created_at: str
    first_seq: int
    last_seq: int


class LogMessage(NamedTuple):
    """One stored event as it lies in the log. `event_id` is its Nats-Msg-Id header, if any.

    (A tuple takes a third of the time to make, and every service makes one of every event.)
    """

    seq: int
    subject: str
    data: bytes
    event_id: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be stored: an event, or a new value of `bucket`.

    A value's `subject` is its key, and its `data` None deletes the key; its `event_id` is not used.
    """

    event_id: str
    subject: str
    data: bytes | None
    bucket: str | None = None


class Reader(Protocol):
    """Walks the log without gaps. After `ReaderLost` it is dead; `close` is always allowed."""

    async def read(self, timeout: timedelta) -> Sequence[LogMessage]:
        """Return what has arrived since the last call, waiting at most `timeout` for the first.

        An empty answer means that nothing came in that time. At most 500 messages.

        Raises:
            ReaderLost: something may be missing between the last answer and the next.
        """
        ...

    async def tail(self) -> int:
        """Return the log's last sequence as of a moment after this call began.

        Everything up to it will be returned by `read`; one round trip.

        Raises:
            ReaderLost, BusAway
        """
        ...

    async def close(self) -> None: ...


LiveHandler = Callable[[str, bytes], None]
"""Takes (subject, data); must not block and must not raise."""

CallHandler = Callable[[str, bytes], Awaitable[bytes]]
"""Takes (subject, data), returns the answer; one is always given, errors are encoded in it."""


class Bus(Protocol):
    """A connection to the bus under one user's rights."""

    durable: bool | None
    """Whether it is known to fsync before it acknowledges; None: unknown."""

    @property
    def connected(self) -> bool: ...

    @property
    def generation(self) -> int:
        """Grows by one with every (re)connect. 0 before the first."""
        ...

    async def connect(self) -> None:
        """Return once connected; keeps trying for ever and stays connected by itself afterwards."""
        ...

    async def prepare(self) -> None:
        """Return once the log exists: made by this user if it may, else waited for."""
        ...

    async def wait_connected(self) -> None: ...

    async def close(self) -> None: ...

    async def log_info(self) -> LogInfo:
        """Raises LogMissing, BusAway."""
        ...

    async def event_id_at(self, seq: int) -> str | None:
        """Return the id of the event stored at `seq`, or None if it has expired or never was."""
        ...

    async def open_reader(self, from_seq: int) -> Reader:
        """Return a reader whose first message is the first one at or after `from_seq`."""
        ...

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        """Store `messages` durably, in order; return the log sequence of the last event.

        Bucket values among them are stored first (the last one per key), then the events: in
        atomic batches of at most 500 where that is allowed, else one by one, each acknowledged
        before the next is sent. An event whose id is already stored counts as stored. Events of
        `alert` and `presence` subjects always go singly; those of different hosts may be on their
        way at the same time: should the bus then fail, one may be stored, and one before it not.
        Returns 0 if there was no event among them. Of a duplicate, the place is the stored one's.

        Raises:
            BusAway: some were stored, of each host a prefix; send the same messages again.
            PublishRefused: the first not yet stored message will never be accepted.
        """
        ...

    async def load_bucket(self, bucket: str) -> dict[str, bytes]:
        """Return every key and value of `bucket` (deleted keys are absent)."""
        ...

    def send_live(self, subject: str, data: bytes) -> None:
        """Send to whoever listens now; silently nothing while disconnected."""
        ...

    async def listen(self, subject: str, handler: LiveHandler) -> None:
        """Call `handler` for each live message on `subject` (wildcards too), across reconnects."""
        ...

    async def serve(self, subject: str, handler: CallHandler) -> None:
        """Answer calls on `subject` (wildcards allowed), concurrently, across reconnects.

        A message whose reply subject does not start with `_INBOX_` is refused silently and counted.
        """
        ...

    async def call(self, subject: str, data: bytes, timeout: timedelta) -> bytes:
        """Ask and return the answer.

        Raises:
            NoResponder: nobody serves `subject` (known at once).
            BusAway: no answer within `timeout`: unknown whether it was carried out.
        """
        ...


BUCKETS = ("hosts", "thresholds", "backups", "sessions", "alerts", "agent-tokens")
LOG_MAX_AGE = timedelta(days=30)
DUPLICATE_WINDOW = timedelta(minutes=10)
BATCH = 500


def is_exported(subject: str) -> bool:
    """Say whether `subject` is exported to other accounts: then it must be published singly."""
    return subject.startswith(("dormice.alert.", "dormice.presence."))
