"""What waits to be decided in the next step, beside the log: calls, frames, outcomes, beats."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import Any

import structlog

from libs.common.errors import DormiceError
from libs.common.loop.machine import Machine, OnLive
from libs.common.loop.sender import Sender
from libs.common.loop.step import Work

log = structlog.get_logger()

INPUTS_PER_STEP = 500


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer of an input, and the log sequence of its last event (0: none)."""

    result: Any
    seq: int


@dataclass(frozen=True, slots=True)
class Input:
    """`fresh`: to be decided only once the log has been read to the tail noted now.

    `effect_row`: the effect whose outcome this is (0: none).
    """

    work: Work
    fresh: bool = False
    future: asyncio.Future[Submitted] | None = None
    effect_row: int = 0

    def refuse(self, error: Exception) -> None:
        if self.future is None:
            log.error("input_refused", error=str(error))
        elif not self.future.done():
            self.future.set_exception(error)

    def settle(self, answer: Any, row: int, sender: Sender) -> None:
        """Give the answer to who waits, once outbox row `row` (0: none) is on the bus."""
        if isinstance(answer, DormiceError):
            self.refuse(answer)
        elif self.future is not None and row == 0:
            _resolve(self.future, Submitted(answer, 0))
        elif self.future is not None:
            future = self.future
            stored = sender.when_stored(row)
            stored.add_done_callback(
                lambda done: _resolve(future, Submitted(answer, done.result()))
            )


class Inputs:
    """A queue, oldest first."""

    def __init__(self) -> None:
        self._queue: deque[Input] = deque()

    def add(self, entry: Input) -> None:
        self._queue.append(entry)

    def take(self, *, fresh_too: bool) -> list[Input]:
        """Return what may be decided now, at most `INPUTS_PER_STEP`."""
        taken: list[Input] = []
        kept: list[Input] = []
        while self._queue and len(taken) < INPUTS_PER_STEP:
            entry = self._queue.popleft()
            (taken if fresh_too or not entry.fresh else kept).append(entry)
        self.put_back(kept)
        return taken

    def put_back(self, entries: list[Input]) -> None:
        self._queue.extendleft(reversed(entries))

    def refuse_waiting(self, error: Exception) -> None:
        """Answer everyone who waits with `error`; what nobody waits for stays."""
        kept = [entry for entry in self._queue if entry.future is None]
        for entry in self._queue:
            if entry.future is not None:
                entry.refuse(error)
        self._queue = deque(kept)

    def __bool__(self) -> bool:
        return bool(self._queue)


def live_input(machine: Machine, subject: str, data: bytes) -> Input | None:
    """Return the input that a live message is, or None if the machine does not look at it."""
    handler = _live_handler(machine, subject)
    if handler is None:
        return None
    try:
        body = json.loads(data)
    except ValueError:
        log.warning("live_message_unreadable", subject=subject)
        return None
    return Input(lambda tx: handler(tx, subject, body))


def _live_handler(machine: Machine, subject: str) -> OnLive | None:
    for pattern, handler in machine.live.items():
        if subject.startswith(pattern.rstrip("*>")):
            return handler
    return None


def _resolve(future: asyncio.Future[Submitted], value: Submitted) -> None:
    if not future.done():
        future.set_result(value)
