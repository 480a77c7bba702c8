"""The shape of a service's state machine, as the loop drives it.

A machine keeps nothing in memory: all its state is in the transaction's tables, so that a rolled
back batch leaves no trace. Everything it may do is on `Tx`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from libs.common.events.base import Event
from libs.common.events.host import Actor
from libs.common.loop.step import Ended
from libs.common.loop.tx import Tx

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")

OnEvent = Callable[[Tx, Any], None]
"""(tx, event). May emit, schedule, start effects. An exception makes the event a dead letter."""

OnEvents = Callable[[Tx, Sequence[Any]], None]
"""(tx, events of one type, in order). Leaves the state that `OnEvent` of each would; `tx.seq` and
the like are as outside of an event. If it raises, the events are applied in smaller parts."""

OnDeadline = Callable[[Tx, str, datetime], None]
"""(tx, key, due_at). The deadline's row is already gone; schedule it again to look again."""

OnRequest = Callable[[Tx, Actor, Any], Any]
"""(tx, actor, arguments as the verb's model) → JSON-able answer. May raise DormiceError."""

OnOutcome = Callable[[Tx, str, dict[str, Any], dict[str, Any]], None]
"""(tx, key, payload, outcome) of an effect that ended."""

OnOutcomes = Callable[[Tx, Sequence[Ended]], None]
"""(tx, effects of one kind that ended, in order). Leaves the state that `OnOutcome` of each would;
if it raises, they are taken one by one."""

OnLive = Callable[[Tx, str, dict[str, Any]], None]
"""(tx, subject, data) of an unstored message, such as a gateway's beat."""

Buckets = Mapping[str, Mapping[str, bytes]]
"""Bucket name → key → JSON."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A call that a service answers to whoever has the role."""

    handler: OnRequest
    arguments: type[BaseModel]
    role: Role = "viewer"


class Machine:
    """Base of every service's machine; the subclass fills the tables in `__init__`."""

    name: ClassVar[str]
    """The service's name: bus user, event source `dormice/<name>`, state file, RPC prefix."""

    package: ClassVar[str]
    """The package that holds `migrations/`, such as `services.alerting`."""

    buckets: ClassVar[tuple[str, ...]] = ()
    """What `load` needs."""

    needs_beat: ClassVar[bool] = False
    """Run no deadlines after a (re)connect until a gateway's beat has been seen (R10)."""

    agents_wait: ClassVar[bool] = False
    """What connects agents: its steps go before all others of its process (`turns.py`)."""

    unhurried: ClassVar[bool] = False
    """Fifty milliseconds more hurt nobody: it may rest between small steps (`rest.py`)."""

    rests_above: ClassVar[float] = math.inf
    """While more effects than this run, it may rest between small steps too: outcomes will come."""

    knows_own: ClassVar[bool] = False
    """What it emits says nothing that its state does not: the log need not tell it again."""

    def __init__(self) -> None:
        self.source = f"dormice/{self.name}"
        self.handlers: Mapping[type[Event], OnEvent] = {}
        self.handlers_of_many: Mapping[type[Event], OnEvents] = {}
        self.deadlines: Mapping[str, OnDeadline] = {}
        self.verbs: Mapping[str, Verb] = {}
        self.outcomes: Mapping[str, OnOutcome] = {}
        self.outcomes_of_many: Mapping[str, OnOutcomes] = {}
        self.live: Mapping[str, OnLive] = {}
        self.redo: Mapping[type[Event], OnEvent] = {}
        """What a rebuild takes from our own events. Who has decided them need not hear of them."""

    def load(self, tx: Tx, buckets: Buckets) -> None:
        """Take current state from the buckets: at the first start, and after the log was wiped.

        Merges: a record replaces the own one only if its version is newer; nothing is deleted.
        """

    def republish(self, tx: Tx) -> None:
        """After the log was wiped: put every key of the buckets that this service owns again."""

    def on_connected(self, tx: Tx) -> None:
        """Called after each (re)connect, once the log has been read to the tail noted then."""
