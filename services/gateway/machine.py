"""The gateway's state machine: sessions begin and end, tokens and host records are known.

What agents send comes as inputs from the shell (`sessions`, `reports`); this page has what comes
from the log and from the clock.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from pydantic import BaseModel

from libs.common.events.agent import (
    AgentHello,
    AgentOffline,
    GatewayListening,
    GatewayStopped,
)
from libs.common.events.host import (
    Audit,
    HostChanged,
    HostEnrolled,
    HostFact,
    HostModeChanged,
    HostRecord,
    HostRemoved,
)
from libs.common.loop.machine import Buckets, Machine
from libs.common.loop.tx import Tx
from libs.common.protocol import CloseCode
from services.gateway import policy, sessions, store, store_hellos, store_hosts
from services.gateway.policy import Arrival, Known
from services.gateway.sessions import CONFIG_WANTED, ENDED, Ended, Heard
from services.gateway.settings import GatewaySettings
from services.gateway.store import Session
from services.gateway.store_hosts import Token

log = structlog.get_logger()

LISTENING = "listening"
TOKEN_EXPIRED = "agent_token.expired"  # noqa: S105  The name of an action.


class _TokenBody(BaseModel):
    host_id: str
    token_version: int = 0


class GatewayMachine(Machine):
    name = "gateway"
    package = "services.gateway"
    buckets = ("hosts", "agent-tokens")
    agents_wait = True

    def __init__(self, settings: GatewaySettings) -> None:
        super().__init__()
        self.settings = settings
        self.source = f"dormice/gateway/{settings.gateway_id}"
        self.handlers = {
            AgentHello: self.on_agent_hello,
            AgentOffline: self.on_agent_offline,
            HostEnrolled: self.on_host_fact,
            HostChanged: self.on_host_changed,
            HostModeChanged: self.on_host_fact,
            HostRemoved: self.on_host_removed,
            GatewayListening: self.on_gateway_listening,
            Audit: self.on_audit,
        }
        self.deadlines = {
            "silence": self.on_silence,
            "config": self.on_config_behind,
        }

    def load(self, tx: Tx, buckets: Buckets) -> None:
        """Take host records and tokens. A token that is not there is asked of the registry."""
        for data in buckets.get("hosts", {}).values():
            store_hosts.put_newer_host(tx.db, HostRecord.model_validate_json(data))
        tokens = buckets.get("agent-tokens", {}).items()
        store_hosts.replace_tokens(tx.db, ((key, _token(data)) for key, data in tokens))

    def on_connected(self, tx: Tx) -> None:
        self.start_listening(tx)

    def start_listening(self, tx: Tx) -> None:
        """A new period of listening begins: nobody is older than it (R10)."""
        store.set_listening(tx.db, tx.now)
        store.forget_future(tx.db, tx.now)
        store.doubt_synced(tx.db)
        tx.emit(GatewayListening(gateway=self.settings.gateway_id, since=tx.now))
        for session in store.list_live(tx.db):
            sessions.schedule_silence(tx, session.host_id, session.last_seen, tx.now, self.settings)

    def stop_listening(self, tx: Tx) -> None:
        """Input: an orderly stop. Hosts stay online; they have until the judgement of presence."""
        tx.emit(GatewayStopped(gateway=self.settings.gateway_id, at=tx.now))

    def take_pulse(self, tx: Tx, heard: list[Heard]) -> None:
        """Input: the shell hears, and this is whom it heard since the last pulse."""
        self._listens_anew(tx)
        sessions.take_heard(tx, heard, self.settings)
        store.set_pulse(tx.db, tx.now)

    def _listens_anew(self, tx: Tx) -> bool:
        """After a stall, frames wait unread: what looks like silence is our own (R10)."""
        if not policy.was_stalled(store.find_pulse(tx.db), self.settings.offline_after, tx.now):
            return False
        log.warning("gateway_was_stalled", gateway=self.settings.gateway_id)
        self.start_listening(tx)
        return True

    # -- from the log ------------------------------------------------------------------------------

    def on_agent_hello(self, tx: Tx, event: AgentHello) -> None:
        """Another gateway's may be newer than our session; our own gets its place in the log."""
        found = store_hellos.look_up_hello(tx.db, event.host_id, event.token_version)
        known = found.session
        if not store_hellos.remember_hello(tx.db, event.host_id, event.session, tx.seq):
            return
        if found.hellos + 1 >= 2 * store_hellos.HELLOS_PER_HOST:
            store_hellos.forget_old_hellos(tx.db, event.host_id)
        if found.old_token:
            store_hosts.forget_tokens(tx.db, event.host_id, below=event.token_version)
        if known is not None and known.session == event.session:
            store.set_log_seq(tx.db, event.session, event.host_id, tx.seq)
        elif event.gateway != self.settings.gateway_id:
            self._take_foreign_hello(tx, event, known)

    def _take_foreign_hello(self, tx: Tx, event: AgentHello, known: Session | None) -> None:
        verdict = policy.assess_hello(
            None if known is None else Known(known.session, known.connection),
            event.connection,
            self._arrival(known),
        )
        if not verdict.accepted:
            return  # The other gateway reads our hello, and closes its connection.
        if known is not None and known.live:
            sessions.replace(tx, known, event.connection)
        store.put_session(
            tx.db,
            Session(
                event.host_id, event.session, event.gateway, event.connection, live=False,
                last_seen=tx.time, log_seq=tx.seq, spool_id=event.spool_id,
                sync_seq=event.last_seq, synced=False, config_version=event.config_version,
            ),
        )  # fmt: skip

    def _arrival(self, known: Session | None) -> Arrival:
        """A hello of ours that we have not yet read from the log stands behind what we read now."""
        ours = known is not None and known.gateway == self.settings.gateway_id
        return Arrival.BEFORE if ours and known and known.log_seq is None else Arrival.AFTER

    def on_agent_offline(self, tx: Tx, event: AgentOffline) -> None:
        """Presence took us for lost: whoever is still connected must say hello again."""
        known = store.find_session(tx.db, event.host_id)
        if known is None or known.session != event.session or not known.live:
            return
        store.end_session(tx.db, event.host_id)
        tx.unschedule("silence", event.host_id)
        tx.unschedule("config", event.host_id)
        reason = "this gateway was taken for lost; say hello again"
        tx.signal(ENDED, Ended(event.session, CloseCode.TRY_LATER, reason))

    def on_host_fact(self, tx: Tx, event: HostFact) -> None:
        """Only what the agent must apply is sent to it: not another name, nor its own facts."""
        before = store_hosts.find_config_version(tx.db, event.host_id)
        newer = store_hosts.put_newer_host(tx.db, event.record)
        if newer and event.record.config_version != before:
            self._push_config(tx, event.host_id)

    def on_host_changed(self, tx: Tx, event: HostChanged) -> None:
        if any("token" in field for field in event.changed):
            store_hosts.forget_tokens(tx.db, event.host_id)
        self.on_host_fact(tx, event)

    def on_host_removed(self, tx: Tx, event: HostRemoved) -> None:
        known = store.find_session(tx.db, event.host_id)
        store_hosts.put_newer_host(tx.db, event.record.model_copy(update={"removed": True}))
        store_hosts.forget_tokens(tx.db, event.host_id)
        store.delete_session(tx.db, event.host_id)
        tx.unschedule("silence", event.host_id)
        tx.unschedule("config", event.host_id)
        if known is not None and known.live:
            tx.signal(ENDED, Ended(known.session, CloseCode.UNKNOWN_TOKEN, "the host was removed"))

    def on_audit(self, tx: Tx, event: Audit) -> None:
        """A token ended by itself, 24 h after its rotation; the registry knows which are left."""
        if event.action == TOKEN_EXPIRED and event.host_id:
            store_hosts.forget_tokens(tx.db, event.host_id)

    def on_gateway_listening(self, tx: Tx, event: GatewayListening) -> None:
        """Our own, durable now: beats may name it."""
        ours = event.gateway == self.settings.gateway_id
        if ours and event.since == store.listening_since(tx.db):
            tx.signal(LISTENING, event.since)

    # -- from the clock ----------------------------------------------------------------------------

    def on_silence(self, tx: Tx, host_id: str, _: datetime) -> None:
        """A session was silent for OFFLINE_AFTER, unless it was we who could not hear."""
        session = store.find_session(tx.db, host_id)
        if session is None or not session.live:
            return
        if self._listens_anew(tx):
            return
        since = store.listening_since(tx.db)
        due = policy.offline_deadline(session.last_seen, since, self.settings.offline_after)
        if due > tx.now:
            tx.schedule("silence", host_id, due)
            return
        sessions.end_for_silence(tx, session)

    def on_config_behind(self, tx: Tx, host_id: str, _: datetime) -> None:
        self._push_config(tx, host_id)

    def _push_config(self, tx: Tx, host_id: str) -> None:
        """Have the configuration sent if the host is connected here and behind."""
        session = store.find_session(tx.db, host_id)
        if session is None or not session.live:
            return
        wanted = store_hosts.find_config_version(tx.db, host_id)
        if sessions.watch_config(tx, host_id, session.config_version, wanted):
            tx.signal(CONFIG_WANTED, session.session)


def _token(data: bytes) -> Token:
    body = _TokenBody.model_validate_json(data)
    return Token(body.host_id, body.token_version)
