"""Catch-up: a host that may sleep makes up for what it slept through, a minute after it wakes.

Event handlers note what happened and ask for a look; what is decided is decided by the deadlines in
`progress.py`, once the log has been read. All state is in the tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from libs.common.clock import to_rfc3339
from libs.common.errors import HostNotFound
from libs.common.events.agent import (
    AgentHello,
    AgentOffline,
    AgentPower,
    AgentSynced,
    OfflineReason,
)
from libs.common.events.catchup import (
    CatchupArmed,
    CatchupFinished,
    CatchupRequested,
    CatchupSkipped,
    SkipReason,
)
from libs.common.events.host import (
    Actor,
    HostChanged,
    HostEnrolled,
    HostFact,
    HostModeChanged,
    HostRecord,
    HostRemoved,
    HostThresholdsChanged,
    ThresholdRules,
)
from libs.common.events.job import (
    JobAbandoned,
    JobDispatched,
    JobFinished,
    JobInterrupted,
    JobStarted,
    JobUndeliverable,
)
from libs.common.loop.machine import Buckets, Machine, Verb
from libs.common.loop.tx import Tx
from libs.common.sessions import HelloVerdict, assess_hello
from libs.common.threshold_table import keep_newer
from services.catchup import arms, habits, outcomes, store
from services.catchup.decided import LOOK, Redo, drop_arm
from services.catchup.policy import ArmVerdict
from services.catchup.policy_conditions import Power
from services.catchup.policy_queue import Place, estimate_wait
from services.catchup.progress import (
    ADMIT,
    FLEET,
    Progress,
    admit_soon,
    look_at,
    look_at_arm,
)
from services.catchup.settings import CatchupSettings
from services.catchup.store import Host

FORGET = "forget"
FORGET_EVERY = timedelta(days=1)
_LEAVES = frozenset({OfflineReason.SLEEP, OfflineReason.SHUTDOWN, OfflineReason.HEARTBEAT_TIMEOUT})
"""Ends of a session that tell how long a host stays; the others are of agents and gateways."""


class ArmOf(BaseModel):
    """Arguments of `get_arm`."""

    host_id: str


class CatchupMachine(Machine):
    """Owns arms and the queue."""

    name = "catchup"
    package = "services.catchup"
    buckets = ("hosts", "thresholds", "backups", "sessions")

    def __init__(self, settings: CatchupSettings) -> None:
        super().__init__()
        self._settings = settings
        progress, ends, redo = Progress(settings), outcomes.Ends(settings), Redo(settings)
        self.handlers = {
            HostEnrolled: self.on_host,
            HostChanged: self.on_host,
            HostModeChanged: self.on_host,
            HostRemoved: self.on_host_removed,
            HostThresholdsChanged: self.on_thresholds,
            AgentHello: self.on_hello,
            AgentSynced: self.on_synced,
            AgentOffline: self.on_offline,
            AgentPower: self.on_power,
            JobDispatched: outcomes.on_job_taken,
            JobStarted: outcomes.on_job_taken,
            JobUndeliverable: outcomes.on_job_undeliverable,
            JobFinished: ends.on_job_finished,
            JobInterrupted: ends.on_job_given_up,
            JobAbandoned: ends.on_job_given_up,
        }
        self.deadlines = {
            LOOK: progress.on_look,
            ADMIT: progress.on_admit,
            FORGET: self.on_forget_due,
        }
        self.verbs = {"get_arm": Verb(self.on_get_arm, ArmOf)}
        self.redo = {
            CatchupRequested: redo.on_requested,
            CatchupSkipped: redo.on_skipped,
            CatchupFinished: redo.on_finished,
        }

    # -- start -------------------------------------------------------------------------------------

    def load(self, tx: Tx, buckets: Buckets) -> None:
        """Take hosts, their last successes and their sessions."""
        for data in buckets.get("thresholds", {}).values():
            keep_newer(tx.db, ThresholdRules.model_validate_json(data))
        for data in buckets.get("hosts", {}).values():
            store.save_record(tx, HostRecord.model_validate_json(data))
        for data in buckets.get("backups", {}).values():
            _take_backup(tx, json.loads(data))
        for data in buckets.get("sessions", {}).values():
            self._take_session(tx, json.loads(data))
        tx.schedule(FORGET, FLEET, tx.now + FORGET_EVERY)
        admit_soon(tx)  # The caps may have changed.

    def on_connected(self, tx: Tx) -> None:
        """After a restart the caps may be other ones: look at the queue once."""
        admit_soon(tx)

    # -- hosts and sessions ------------------------------------------------------------------------

    def on_host(self, tx: Tx, event: HostFact) -> None:
        if store.save_record(tx, event.record):
            look_at_arm(tx, event.host_id)

    def on_host_removed(self, tx: Tx, event: HostRemoved) -> None:
        if not store.save_record(tx, event.record):
            return
        arm = arms.find_arm(tx, event.host_id)
        if arm is not None:
            drop_arm(tx, arm, SkipReason.REMOVED, "no catch-up: the host was removed")
        arms.delete_run(tx, event.host_id)
        store.end_session(tx, event.host_id)
        store.forget_host(tx, event.host_id)
        habits.forget(tx, event.host_id)
        admit_soon(tx)

    def on_thresholds(self, tx: Tx, event: HostThresholdsChanged) -> None:
        """Idempotent by `rules.version`. What is put off is looked at again when it ends at the
        latest."""
        keep_newer(tx.db, event.rules)

    def on_hello(self, tx: Tx, event: AgentHello) -> None:
        """A new session: the host is armed again, or for the first time (R11)."""
        host = store.find_present(tx, event.host_id)
        if host is None:
            return
        known = not store.note_session(tx, event.host_id, event.session)
        current = host.connection_before(event.session)
        if assess_hello(current, event.connection, known=known) is not HelloVerdict.NEWER:
            return
        store.take_hello(tx, event, _power_of(event))
        _free_slot(tx, host)
        for job_id in event.running:
            store.revive(tx, event.host_id, job_id)
        self._arm(tx, host, event.session)

    def _arm(self, tx: Tx, host: Host, session: str) -> None:
        """Only a host that may sleep is armed (R11)."""
        host_id = host.id
        earlier = arms.find_arm(tx, host_id) if host.arm_due_at is not None else None
        if earlier is not None and earlier.arm_id == session:
            return  # A bucket named the session before its hello was read.
        if host.always_on:
            if earlier is not None:
                drop_arm(tx, earlier, SkipReason.ALWAYS_ON,
                         "no catch-up: the host is always on by now")  # fmt: skip
            return
        if earlier is not None:
            drop_arm(tx, earlier, SkipReason.REARMED,
                     "the host said hello again: the catch-up starts anew")  # fmt: skip
        due_at = tx.time + self._settings.catchup_settle
        arms.begin_arm(tx, host_id, session, armed_at=tx.time, due_at=due_at)
        tx.schedule(LOOK, host_id, due_at)
        tx.emit(CatchupArmed(host_id=host_id, arm_id=session, due_at=due_at))
        tx.decide(host_id, "catchup_armed", "back online: looks for missed backups shortly",
                  rule="R11", arm_id=session, due_at=due_at)  # fmt: skip

    def _take_session(self, tx: Tx, value: Mapping[str, Any]) -> None:
        """Take a session whose hello we have not read; if the log still brings it, it counts.

        If we knew an older session, the hello may have been lost with the log: it arms as well.
        """
        host = store.find_host(tx, value["host_id"])
        session, connection = value.get("session"), value.get("connection")
        if host is None or session is None:
            return
        known = store.knows_session(tx, session)
        current = host.connection_before(session)
        if assess_hello(current, connection, known=known) is not HelloVerdict.NEWER:
            return
        store.begin_session(tx, host.id, session, connection)
        _free_slot(tx, host)
        store.set_synced(tx, host.id)  # The log may have brought `synced` already.
        if value["status"] != "online":
            store.end_session(tx, host.id)
        elif host.session not in (None, session):
            self._arm(tx, host, session)

    def on_synced(self, tx: Tx, event: AgentSynced) -> None:
        if store.note_synced(tx, event.host_id, event.session):
            look_at_arm(tx, event.host_id)

    def on_offline(self, tx: Tx, event: AgentOffline) -> None:
        """The session ended: its slot is free. An arm that settles is judged when it is due."""
        host = store.find_host(tx, event.host_id)
        if host is None or host.session != event.session or not host.online:
            return
        store.end_session(tx, event.host_id)
        if event.reason in _LEAVES:
            shortest = self._settings.catchup_settle
            habits.end_stay(tx, event.host_id, event.last_seen, shortest=shortest)
        admit_soon(tx)
        look_at(tx, host)

    def on_power(self, tx: Tx, event: AgentPower) -> None:
        """Plugged in, another network: what was put off for it may go at once."""
        host = store.find_host(tx, event.host_id)
        if host is not None and host.session == event.session:
            store.save_power(tx, event.host_id, _power_of(event))
            if event.metered != host.power.metered:
                arms.may_reach(tx, event.host_id)
            look_at(tx, host)

    # -- deadlines and calls -----------------------------------------------------------------------

    def on_forget_due(self, tx: Tx, key: str, _due_at: datetime) -> None:
        store.forget_old(tx)
        tx.schedule(FORGET, key, tx.now + FORGET_EVERY)

    def on_get_arm(self, tx: Tx, _actor: Actor, asked: ArmOf) -> dict[str, Any] | None:
        """Return {state, due_at, place, starts_at, reason} of the host's catch-up, or None.

        `starts_at` is an estimate, of a queued one; of one whose repository could not be reached it
        is when that is tried again. `reason` is why it waits. Raises HostNotFound.
        """
        host = store.find_present(tx, asked.host_id)
        if host is None:
            raise HostNotFound
        arm = arms.find_arm(tx, asked.host_id)
        if arm is None:
            return None
        place = arms.place(tx, asked.host_id)
        return {
            "state": arm.state.value,
            "due_at": to_rfc3339(arm.due_at),
            "place": place and place.fleet,
            "starts_at": _tried_again(arm) or self._estimate_start(tx, place),
            "reason": ArmVerdict[arm.wait].value if arm.wait else None,
        }

    def _estimate_start(self, tx: Tx, place: Place | None) -> str | None:
        if place is None:
            return None
        wait = estimate_wait(
            place, arms.usual_run(tx), fleet_cap=self._settings.catchup_max_fleet,
            repository_cap=self._settings.catchup_max_repository,
        )  # fmt: skip
        return None if wait is None else to_rfc3339(tx.now + wait)


def _tried_again(arm: arms.Arm) -> str | None:
    return to_rfc3339(arm.retry_at) if arm.is_put_off and arm.retry_at is not None else None


def _power_of(event: AgentHello | AgentPower) -> Power:
    return Power(event.on_battery, event.battery_percent, event.metered)


def _take_backup(tx: Tx, value: Mapping[str, Any]) -> None:
    if value.get("last_success_at"):
        at = datetime.fromisoformat(value["last_success_at"])
        job_id = value.get("last_success_job_id") or ""
        store.note_success(tx, value["host_id"], value["source_group_id"], at, job_id)


def _free_slot(tx: Tx, host: Host) -> None:
    """A new session began: what was sent to the old one, jobs says to be undeliverable."""
    run = arms.find_run(tx, host.id) if host.has_run else None
    if run is not None and not run.accepted:
        arms.delete_run(tx, host.id)
    admit_soon(tx)
