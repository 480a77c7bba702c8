"""What asks for no step of its own waits a little for company.

An event that the machine does not handle moves nothing but the position, and an acknowledgement
only empties the outbox: both go with the next step, or after a second. Until then the file stands
where the last step left it, so a crash reads them again, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.bus.base import BATCH, LogMessage
from libs.common.clock import monotonic_seconds

WAIT_SECONDS = 1.0


class Company:
    """Messages in the log's order that wait for a step, and since when something waits."""

    def __init__(self) -> None:
        self._messages: list[LogMessage] = []
        self._until: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """How long what waits may still wait; None if nothing does."""
        return None if self._until is None else max(0.0, self._until - monotonic_seconds())

    @property
    def is_due(self) -> bool:
        """Whether what waits has waited long enough, or has become a batch."""
        return len(self._messages) >= BATCH or self.seconds_left == 0

    def wait(self, messages: Sequence[LogMessage]) -> None:
        """Have `messages`, if any, wait behind those that do."""
        self._messages.extend(messages)
        if self._until is None:
            self._until = monotonic_seconds() + WAIT_SECONDS

    def take(self) -> list[LogMessage]:
        """Return what waits, for the step that is made now."""
        taken, self._messages, self._until = self._messages, [], None
        return taken
