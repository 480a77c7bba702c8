"""What a server would store, in memory and in plain synchronous methods.

The simulator uses it directly: no asyncio, one thread. The log can be made to suffer what a real
one suffers: `wipe`, `rewind`, `expire`, `cut`, `take_away` and `bring_back`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from libs.common.bus.base import (
    BATCH,
    BusAway,
    CallHandler,
    LiveHandler,
    LogInfo,
    LogMessage,
    Outgoing,
    PublishRefused,
)
from libs.common.bus.topology import is_stored

MAX_PAYLOAD = 2 * 2**20 - 1024


def matches(pattern: str, subject: str) -> bool:
    """Say whether `subject` is covered by `pattern` (`*` is one token, `>` is the rest)."""
    wanted = pattern.split(".")
    tokens = subject.split(".")
    for at, part in enumerate(wanted):
        if part == ">":
            return len(tokens) > at
        if at >= len(tokens) or part not in ("*", tokens[at]):
            return False
    return len(wanted) == len(tokens)


class MemoryLog:
    """What a server stores, and who is connected to it.

    `dedupes` off stands for a duplicate window that has run out: the same id is stored again.
    `fail_after` counts down the messages that are still stored before `BusAway` (None: never).
    """

    def __init__(self, *, dedupes: bool = True) -> None:
        self.dedupes = dedupes
        self.fail_after: int | None = None
        self.available = True
        self.buckets: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._servers: list[tuple[str, CallHandler]] = []
        self._listeners: list[tuple[str, LiveHandler]] = []
        self._connections: list[Callable[[], None]] = []
        self._waiting: set[Callable[[], None]] = set()
        self._incarnation = 0
        self._clear()

    def _clear(self) -> None:
        self._incarnation += 1
        self._first_seq = 1
        self._events: list[LogMessage] = []
        self._seq_of: dict[str, int] = {}

    # --- stored ----------------------------------------------------------------------------------

    def info(self) -> LogInfo:
        self._need()
        last = self._first_seq + len(self._events) - 1
        return LogInfo(f"memory-{self._incarnation}", self._first_seq, last)

    def append(self, event: Outgoing) -> int:
        """Store one event; return its sequence, or the one that its id already has."""
        self._need()
        if not is_stored(event.subject):
            raise PublishRefused(f"{event.subject} is not a subject of the log.")
        self._need_room(event)
        if self.dedupes and event.event_id in self._seq_of:
            return self._seq_of[event.event_id]
        seq = self._first_seq + len(self._events)
        self._events.append(LogMessage(seq, event.subject, event.data or b"", event.event_id))
        self._seq_of[event.event_id] = seq
        for wake in list(self._waiting):
            wake()
        return seq

    def put(self, bucket: str, key: str, value: bytes | None) -> None:
        """Set a key of a bucket; None deletes it."""
        self._need()
        if value is None:
            self.buckets[bucket].pop(key, None)
        else:
            self.buckets[bucket][key] = value

    def load(self, bucket: str) -> dict[str, bytes]:
        self._need()
        return dict(self.buckets[bucket])

    def store(self, messages: Sequence[Outgoing]) -> int:
        """Do what `Bus.publish` promises: values first, then events; return the last sequence."""
        for message in messages:
            self._need_room(message)
        for message in messages:
            if message.bucket is not None:
                self._count_down()
                self.put(message.bucket, message.subject, message.data)
        last = 0
        for message in messages:
            if message.bucket is None:
                self._count_down()
                last = max(last, self.append(message))
        return last

    def read(self, from_seq: int, limit: int = BATCH) -> list[LogMessage]:
        """Return what is stored at or after `from_seq`, at most `limit` messages."""
        self._need()
        start = max(from_seq - self._first_seq, 0)
        return self._events[start : start + limit]

    def event_id_at(self, seq: int) -> str | None:
        self._need()
        at = seq - self._first_seq
        return self._events[at].event_id if 0 <= at < len(self._events) else None

    def _need(self) -> None:
        if not self.available:
            raise BusAway

    def _need_room(self, message: Outgoing) -> None:
        if len(message.data or b"") > MAX_PAYLOAD:
            raise PublishRefused(f"{message.subject}: more than {MAX_PAYLOAD} bytes.")

    def _count_down(self) -> None:
        if self.fail_after is None:
            return
        if self.fail_after == 0:
            self.fail_after = None
            raise BusAway
        self.fail_after -= 1

    # --- not stored ------------------------------------------------------------------------------

    def send_live(self, subject: str, data: bytes) -> None:
        if self.available:
            for pattern, handler in list(self._listeners):
                if matches(pattern, subject):
                    handler(subject, data)

    def listen(self, pattern: str, handler: LiveHandler) -> None:
        self._listeners.append((pattern, handler))

    def unlisten(self, pattern: str, handler: LiveHandler) -> None:
        self._listeners.remove((pattern, handler))

    def serve(self, pattern: str, handler: CallHandler) -> None:
        self._servers.append((pattern, handler))

    def unserve(self, pattern: str, handler: CallHandler) -> None:
        self._servers.remove((pattern, handler))

    def find_handler(self, subject: str) -> CallHandler | None:
        self._need()
        return next((h for pattern, h in self._servers if matches(pattern, subject)), None)

    # --- connections -----------------------------------------------------------------------------

    def attach(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` when connections are cut, and when the bus goes away or comes back."""
        self._connections.append(on_change)

    def detach(self, on_change: Callable[[], None]) -> None:
        if on_change in self._connections:
            self._connections.remove(on_change)

    def wake_on_append(self, wake: Callable[[], None]) -> None:
        self._waiting.add(wake)

    def sleep_on_append(self, wake: Callable[[], None]) -> None:
        self._waiting.discard(wake)

    # --- what a test can do to it ----------------------------------------------------------------

    def wipe(self) -> None:
        """Lose everything: an empty log with another creation time, empty buckets, all cut."""
        self._clear()
        self.buckets.clear()
        self.cut()

    def rewind(self, to_seq: int) -> None:
        """Lose the tail: sequences after `to_seq` will be handed out again. All are cut."""
        del self._events[max(to_seq + 1 - self._first_seq, 0) :]
        self._seq_of = {event.event_id: event.seq for event in self._events}
        self.cut()

    def expire(self, before_seq: int) -> None:
        """Drop the head, as age does: the first message left is `before_seq`. Nobody is cut."""
        last = self._first_seq + len(self._events) - 1
        first = min(max(before_seq, self._first_seq), last + 1)
        del self._events[: first - self._first_seq]
        self._first_seq = first

    def cut(self) -> None:
        """Break every connection; each is back at once, under the next generation."""
        for changed in list(self._connections):
            changed()

    def take_away(self) -> None:
        """The server is gone until `bring_back`; what it stored stays."""
        self.available = False
        self.cut()

    def bring_back(self) -> None:
        self.available = True
        self.cut()
