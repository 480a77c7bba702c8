"""The receiver of webhooks: it counts every physical request, and can be told to be down."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.testing.webhook_receiver import Answer, Received, WebhookReceiver

DOWN = Answer(503)


@dataclass(frozen=True, slots=True)
class Told:
    """One physical request, and whether it was answered 200."""

    place: int
    request: Received
    taken: bool


class Receiver(WebhookReceiver):
    """`disturbed` are the places at which notify was killed or frozen."""

    def __init__(self) -> None:
        super().__init__()
        self._refused: list[tuple[int, int]] = []
        self._down_from: int | None = None
        self.disturbed: list[int] = []

    def go_down(self) -> None:
        self.default, self._down_from = DOWN, len(self.received)

    def come_back(self) -> None:
        if self._down_from is not None:
            self._refused.append((self._down_from, len(self.received)))
        self.default, self._down_from = Answer(), None

    def disturb(self) -> None:
        """Notify is killed or frozen now: what it has in flight may come once more."""
        self.disturbed.append(len(self.received))

    def told(self) -> list[Told]:
        return [
            Told(place, request, not any(start <= place < end for start, end in self._refused))
            for place, request in enumerate(self.received)
        ]
