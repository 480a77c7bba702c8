"""Calls to the services that own what an operator wants to see or to change.

A change is answered only after its event is in the log; the ui then waits until its own read model
has reached that, 1 s at most: who asked reads what he wrote, or is told that it is not shown yet.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from libs.common.bus.base import Bus, BusAway, NoResponder
from libs.common.clock import to_rfc3339
from libs.common.errors import BadInput, HostNotFound, RemoteError, Unavailable
from libs.common.events.host import Actor, HostRecord
from libs.common.loop.service import Service
from libs.common.rpc import call
from services.ui.reads.paging import is_row_number
from services.ui.views import DecisionView, Page, TimelineInterval

READ_YOUR_WRITES = timedelta(seconds=1)
DECIDERS = ("registry", "presence", "alerting", "catchup", "jobs", "notify")
"""Who decides about hosts, each as one machine. Not gateways: there may be several."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the owner answered. `shown`: the read model has it already."""

    result: Any
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions of all services, newest first. `missing`: services that did not answer."""

    page: Page[DecisionView]
    missing: tuple[str, ...] = ()


class Calls:
    """Asks the owners in the name of an actor; they check the role again."""

    def __init__(self, service: Service, bus: Bus) -> None:
        self._service, self._bus = service, bus

    async def ask(self, service: str, verb: str, arguments: dict[str, Any], actor: Actor) -> Answer:
        """Ask the owner, and wait until its answer can be read here.

        Raises: RemoteError (its answer), Unavailable (it, or the bus, is away).
        """
        try:
            reply = await call(self._bus, service, verb, arguments, actor=actor)
        except NoResponder:
            raise Unavailable(f"{service} is not running; try again") from None
        except BusAway:
            raise Unavailable(f"{service} does not answer; look before you try again") from None
        if not reply.seq:
            return Answer(reply.result)
        return Answer(reply.result, await self._service.wait_for_seq(reply.seq, READ_YOUR_WRITES))

    async def find_record(self, host_id: str, actor: Actor) -> HostRecord:
        """Return the record of a host that the read model does not know. Raises: HostNotFound."""
        try:
            answer = await self.ask("registry", "get_host", {"host_id": host_id}, actor)
        except RemoteError as error:
            if error.code in ("not_found", "host_not_found", "bad_input"):
                raise HostNotFound from None
            raise
        record = HostRecord.model_validate(answer.result)
        if record.removed:
            raise HostNotFound
        return record

    async def timeline(
        self, host_id: str, since: datetime | None, actor: Actor
    ) -> list[TimelineInterval]:
        """Return the whole history of a host's presence, from its owner; default 14 days."""
        asked: dict[str, Any] = {"host_id": host_id}
        if since is not None:
            asked["since"] = to_rfc3339(since)
        answer = await self.ask("presence", "timeline", asked, actor)
        return [_interval(value) for value in answer.result]

    async def decisions(
        self, host_id: str, actor: Actor, *, limit: int = 100, cursor: str | None = None
    ) -> Decisions:
        """Return what all services decided about a host, merged by time. Raises: BadInput."""
        before = decode_marks(cursor) if cursor else {}
        answers = await asyncio.gather(
            *(self._decisions_of(name, host_id, limit, before, actor) for name in DECIDERS)
        )
        found = [one for answer in answers if answer for one in answer]
        found.sort(key=lambda one: one[1].at, reverse=True)
        taken = found[:limit]
        marks = before | {view.service: row_id for row_id, view in taken}
        more = len(found) > limit or any(answer and len(answer) == limit for answer in answers)
        missing = tuple(
            name for name, answer in zip(DECIDERS, answers, strict=True) if answer is None
        )
        cursor_on = encode_marks(marks) if more and taken else None
        return Decisions(Page(tuple(view for _, view in taken), cursor_on), missing)

    async def _decisions_of(  # one per part of the question
        self, service: str, host_id: str, limit: int, before: dict[str, int], actor: Actor
    ) -> list[tuple[int, DecisionView]] | None:
        """One service that is away must not hide what the others know."""
        asked: dict[str, Any] = {"host_id": host_id, "limit": limit}
        if service in before:
            asked["before"] = before[service]
        try:
            answer = await self.ask(service, "decisions", asked, actor)
        except (Unavailable, RemoteError):
            return None
        return [(value["id"], _decision(service, value)) for value in answer.result]


def _interval(value: dict[str, Any]) -> TimelineInterval:
    end = value.get("to")
    return TimelineInterval(
        datetime.fromisoformat(value["from"]),
        datetime.fromisoformat(end) if end else None,
        value["state"],
        value.get("reason"),
    )


def _decision(service: str, value: dict[str, Any]) -> DecisionView:
    return DecisionView(
        at=datetime.fromisoformat(value["at"]), service=service, host_id=value["host_id"],
        what=value["what"], rule=value["rule"], text=value["text"], facts=value["facts"],
    )  # fmt: skip


def encode_marks(marks: dict[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(marks).encode()).decode().rstrip("=")


def decode_marks(cursor: str) -> dict[str, int]:
    """Return from where on each service is asked. Raises: BadInput."""
    try:
        marks = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        sound = all(type(row) is int and is_row_number(row) for row in marks.values())
        if set(marks) <= set(DECIDERS) and sound:
            return dict(marks)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise BadInput("this cursor is none of ours; begin at the first page")
