"""The inputs that begin, keep and end sessions. Each runs inside the loop's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.events.agent import AgentHello, AgentOffline, AgentSynced, OfflineReason
from libs.common.loop.tx import Tx
from libs.common.protocol import CloseCode, Hello
from services.gateway import policy, store, store_hellos, store_hosts
from services.gateway.policy import Known
from services.gateway.settings import CONFIG_RETRY, GatewaySettings
from services.gateway.store import Session
from services.gateway.store_hellos import OfferFacts
from services.gateway.store_hosts import Token

ENDED = "session_ended"
CONFIG_WANTED = "config_wanted"


@dataclass(frozen=True, slots=True)
class Ended:
    """Signal `session_ended`: the socket of this session, if it is still there, must be closed."""

    session: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A hello as it was received. `session` is the id it gets if it is accepted.

    `new_token_hash`: the registry has just told us this token, so it is kept.
    """

    session: str
    token: Token
    new_token_hash: str | None
    hello: Hello
    offset: timedelta
    address: str
    received_at: datetime

    @property
    def spool_id(self) -> str:
        """The agent's spool; one that keeps none has one per session."""
        return self.hello.spool.id if self.hello.spool else self.session


@dataclass(frozen=True, slots=True)
class Accepted:
    """The hello is the host's newest session. `behind`: its configuration must be sent."""

    behind: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The hello replaced nothing; close with `code` and `reason`."""

    code: int
    reason: str


def take_hello(tx: Tx, offer: Offer, settings: GatewaySettings) -> Accepted | Refused:
    """Decide a hello: emit it, or refuse it because a newer session is known."""
    host_id = offer.token.host_id
    found = store_hellos.look_up_offer(tx.db, host_id, offer.spool_id)
    if found.removed:
        return Refused(CloseCode.UNKNOWN_TOKEN, "the host was removed")
    known = found.session
    verdict = policy.assess_hello(_known(known), offer.hello.connection)
    if not verdict.accepted:
        assert known is not None
        tx.decide(host_id, "hello_refused", verdict.value, rule="R3",
                  connection=offer.hello.connection, known=known.connection)  # fmt: skip
        return Refused(CloseCode.REPLACED, replaced_reason(known.connection))
    if known is not None and known.live:
        replace(tx, known, offer.hello.connection)
    return _begin(tx, offer, found, settings)


def replace(tx: Tx, known: Session, winner: int | None) -> None:
    """End a session of ours without an event: the newer one's hello says it, and the newer one is
    put in its place."""
    tx.unschedule("silence", known.host_id)
    tx.unschedule("config", known.host_id)
    tx.signal(ENDED, Ended(known.session, CloseCode.REPLACED, replaced_reason(winner)))


def replaced_reason(winner: int | None) -> str:
    return "replaced by a newer connection" if winner is None else f"connection {winner} is newer"


def _known(session: Session | None) -> Known | None:
    return None if session is None else Known(session.session, session.connection)


def _begin(tx: Tx, offer: Offer, found: OfferFacts, settings: GatewaySettings) -> Accepted:
    hello, host_id, spool_id = offer.hello, offer.token.host_id, offer.spool_id
    sync_seq = hello.spool.last_seq if hello.spool else 0
    spool = found.spool or store.NEW_SPOOL
    store.put_spool(tx.db, host_id, spool_id, spool, tx.now)
    if found.spool is None and found.spools >= store.SPOOLS_PER_HOST:
        store.forget_old_spools(tx.db, host_id)
    synced = policy.is_synced(sync_seq, spool.last_seq)
    store.put_session(
        tx.db,
        Session(
            host_id, offer.session, settings.gateway_id, hello.connection, live=True,
            last_seen=offer.received_at, log_seq=None, spool_id=spool_id, sync_seq=sync_seq,
            synced=synced, config_version=hello.config_version,
        ),
    )  # fmt: skip
    if offer.new_token_hash:
        store_hosts.put_token(tx.db, offer.new_token_hash, offer.token)
    tx.emit(hello_event(offer, settings.gateway_id, spool_id, sync_seq))
    if synced:
        tx.emit(AgentSynced(host_id=host_id, session=offer.session))
    schedule_silence(tx, host_id, offer.received_at, found.listening_since, settings)
    behind = watch_config(tx, host_id, hello.config_version, found.config_version)
    return Accepted(behind=behind)


def hello_event(offer: Offer, gateway_id: str, spool_id: str, sync_seq: int) -> AgentHello:
    """Return the event of an accepted hello; the battery's state is flattened into it."""
    hello, power = offer.hello, offer.hello.power
    return AgentHello(
        host_id=offer.token.host_id,
        session=offer.session,
        gateway=gateway_id,
        connection=hello.connection,
        agent_version=hello.agent_version,
        hostname=hello.hostname,
        os=hello.os,
        arch=hello.arch,
        timezone=hello.timezone,
        boot_id=hello.boot_id,
        config_version=hello.config_version,
        running=tuple(hello.running),
        spool_id=spool_id,
        last_seq=sync_seq,
        on_battery=power.on_battery if power else None,
        battery_percent=power.percent if power else None,
        metered=hello.metered,
        clock_offset_seconds=offer.offset.total_seconds(),
        address=offer.address,
        token_version=offer.token.token_version,
    )


def schedule_silence(
    tx: Tx, host_id: str, last_seen: datetime, since: datetime, settings: GatewaySettings
) -> None:
    """`since`: when we began to listen."""
    tx.schedule(
        "silence", host_id, policy.offline_deadline(last_seen, since, settings.offline_after)
    )


def watch_config(tx: Tx, host_id: str, agent_version: int, wanted_version: int | None) -> bool:
    """Return whether the agent is behind, and if so look again in a minute."""
    if policy.is_behind(agent_version, wanted_version):
        tx.schedule("config", host_id, tx.now + CONFIG_RETRY)
        return True
    tx.unschedule("config", host_id)
    return False


def go_offline(tx: Tx, session: Session, event: AgentOffline) -> None:
    """End a live session with its event, and explain it."""
    store.end_session(tx.db, session.host_id)
    tx.unschedule("silence", session.host_id)
    tx.unschedule("config", session.host_id)
    tx.emit(event)
    why = event.reason.value.replace("_", " ")
    tx.decide(session.host_id, "went_offline", f"session ended: {why}", rule="R3",
              session=session.session, last_seen=event.last_seen.isoformat())  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame of this session came at `last_seen`. `is_behind`: one before it is not stored yet."""

    host_id: str
    session: str
    last_seen: datetime
    is_behind: bool = False


def take_heard(tx: Tx, heard: list[Heard], settings: GatewaySettings) -> None:
    """Put on disk when sessions were last heard, and move their deadlines."""
    since = store.listening_since(tx.db)
    for one in heard:
        last_seen = min(one.last_seen, tx.now)
        if store.touch(tx.db, one.host_id, one.session, last_seen):
            schedule_silence(tx, one.host_id, last_seen, since, settings)
    in_order = [one.session for one in heard if not one.is_behind]
    for host_id, session in store.confirm_synced(tx.db, in_order, since):
        tx.emit(AgentSynced(host_id=host_id, session=session, since=since))


def end_for_silence(tx: Tx, session: Session) -> None:
    """OFFLINE_AFTER without a frame."""
    reason = OfflineReason.HEARTBEAT_TIMEOUT
    go_offline(
        tx,
        session,
        AgentOffline(host_id=session.host_id, session=session.session,
                     last_seen=session.last_seen, reason=reason),
    )  # fmt: skip
    tx.signal(ENDED, Ended(session.session, CloseCode.TRY_LATER, "silent for too long"))
