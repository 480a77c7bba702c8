"""The part of alerting's machine that knows whether anyone listens.

One unbroken period of at least one listening gateway is what silence is measured in (R10); a long
time without any raises the gate that staleness waits behind (R6). After we were cut off ourselves,
nothing is judged before each gateway that listened was heard, or is lost: until then nobody knows
whether it covers the time between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from libs.common.events.agent import GatewayListening, GatewayLost, GatewayStopped
from libs.common.loop.machine import OnDeadline
from libs.common.loop.tx import Tx
from libs.common.periods import is_newer_period
from services.alerting import policy
from services.alerting import store_watch as store
from services.alerting.alerts import FLEET
from services.alerting.settings import AlertingSettings
from services.alerting.store_watch import Gateway, GatewayState

log = structlog.get_logger()
GATEWAY_GRACE = timedelta(seconds=30)
NEXT_BEAT = timedelta(seconds=5)
"""A gateway that lives is heard within it."""


class Beat(BaseModel):
    """A gateway's sign of life."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    gateway: str
    since: AwareDatetime


OnPeriod = Callable[[Tx, datetime, datetime | None], None]
"""(tx, since, dark_from): somebody listens since, nobody had from `dark_from` on, if known."""


class Watchers:
    """Handlers for what is heard of, and from, gateways."""

    def __init__(self, settings: AlertingSettings, on_period: OnPeriod) -> None:
        """`on_period` is called when a new period of listening has begun."""
        self._settings = settings
        self._on_period = on_period

    @property
    def _lost_after(self) -> timedelta:
        return self._settings.offline_after + GATEWAY_GRACE

    def on_connected(self, tx: Tx) -> None:
        """We may have been cut off for long: await all who listened until presence has judged them.

        It may be back later than we are; if it stays away, we go on without.
        """
        store.await_gateways(tx, tx.now + 2 * self._lost_after)

    def when_all_are_heard(self, kind: str, judge: OnDeadline) -> OnDeadline:
        """Return the handler of deadline `kind` that judges once no gateway is awaited."""

        def on_due(tx: Tx, key: str, due_at: datetime) -> None:
            if store.is_any_awaited(tx):
                tx.schedule(kind, key, tx.now + NEXT_BEAT)
            else:
                judge(tx, key, due_at)

        return on_due

    def on_listening(self, tx: Tx, event: GatewayListening) -> None:
        """Idempotent by `since`: only a newer one than known begins anything."""
        known = store.find_gateway(tx, event.gateway)
        if not is_newer_period(event.since, known.since if known else None, tx.now):
            return
        since = min(event.since, tx.now)
        others_since = store.find_others_since(tx, event.gateway)
        if known is not None and known.state is GatewayState.LISTENING:
            self._was_gone(tx, known.heard_at, since, others_since)  # Without a word.
        elif others_since is None:
            self._begin_period(tx, since, store.get_gate(tx).watch.dark_from)
        # An old event of a log that was lost is no more, of whichever gateway.
        heard_at = max(since, store.get_listened_until(tx) or since)
        store.save_gateway(
            tx,
            Gateway(
                event.gateway, event.since, GatewayState.LISTENING, heard_at,
                known.lost_at if known else None,
            ),
        )  # fmt: skip

    def _was_gone(
        self, tx: Tx, gone_from: datetime, back_at: datetime | None, others_since: datetime | None
    ) -> None:
        """A gateway did not listen from `gone_from` until `back_at` (None: it still does not).

        Others that began only after it was gone cover nothing before: a break that shows now.
        """
        if others_since is not None and others_since <= gone_from:
            return
        began = min((at for at in (back_at, others_since) if at is not None), default=None)
        if began is not None:
            self._begin_period(tx, began, gone_from)
            return
        store.end_period(tx, gone_from)
        tx.decide(
            FLEET, "listening_ended", "nobody listens: such time ages no host", rule="R10",
            dark_from=gone_from,
        )  # fmt: skip

    def _begin_period(self, tx: Tx, since: datetime, dark_from: datetime | None) -> None:
        long = policy.is_long_blackout(dark_from, since, self._settings.offline_after)
        store.begin_period(tx, since, long_blackout=long)
        tx.decide(
            FLEET, "listening_began", "somebody listens again: silence counts from here",
            rule="R10", since=since, dark_from=dark_from, long_blackout=long,
        )  # fmt: skip
        self._on_period(tx, since, dark_from)

    def on_stopped(self, tx: Tx, event: GatewayStopped) -> None:
        """Idempotent: one that is not listening, or listens again since later, stays as it is."""
        known = store.find_gateway(tx, event.gateway)
        if known is None or known.state is not GatewayState.LISTENING or event.at < known.since:
            return
        store.save_gateway(tx, replace(known, state=GatewayState.STOPPED))
        others_since = store.find_others_since(tx, event.gateway)
        self._was_gone(tx, min(event.at, tx.now), None, others_since)

    def on_lost(self, tx: Tx, event: GatewayLost) -> None:
        """Idempotent by `since`. A loss counts for its hosts even if the gateway is back by now."""
        known = store.find_gateway(tx, event.gateway) or Gateway(
            event.gateway, event.since, GatewayState.LISTENING, event.since
        )
        lost_at = min(event.at, tx.now)
        if event.since < known.since or known.state is GatewayState.LOST:
            store.note_loss(tx, known.name, lost_at)
            return
        loss = max(known.lost_at or lost_at, lost_at)
        store.save_gateway(tx, replace(known, state=GatewayState.LOST, lost_at=loss))
        if known.state is GatewayState.LISTENING:
            gone_from = max(event.heard_at or lost_at - self._lost_after, known.heard_at)
            others_since = store.find_others_since(tx, event.gateway)
            self._was_gone(tx, gone_from, None, others_since)

    def on_heard(self, tx: Tx, gateway: str) -> None:
        """A gateway said something in the log: it listens, whatever was thought of it."""
        known = store.find_gateway(tx, gateway)
        heard_at = tx.time
        if known is None or known.state is not GatewayState.LISTENING:
            self.on_listening(tx, GatewayListening(gateway=gateway, since=heard_at))
        elif heard_at > known.heard_at and self._is_news(known, heard_at):
            store.save_gateway(tx, replace(known, heard_at=heard_at))

    def on_beat(self, tx: Tx, _: str, data: dict[str, Any]) -> None:
        """A gateway lives. One that our new file does not know is listening, as it says."""
        try:
            beat = Beat.model_validate(data)
        except ValidationError:
            log.warning("beat_not_understood", gateway=str(data.get("gateway"))[:64])
            return
        known = store.find_gateway(tx, beat.gateway)
        if known is None or is_newer_period(beat.since, known.since, tx.now):
            # It may come before its `listening`.
            self.on_listening(tx, GatewayListening(gateway=beat.gateway, since=beat.since))
        elif known.state is GatewayState.LISTENING and self._is_news(known, tx.now):
            store.save_gateway(tx, replace(known, heard_at=tx.now))

    def news_from(self, tx: Tx) -> datetime:
        """Return after which moment a gateway must have been heard, to be no news now."""
        return tx.time - self._step

    def _is_news(self, known: Gateway, at: datetime) -> bool:
        """What is heard every 5 s need not be written each time to date a blackout of 90 s."""
        return known.is_awaited or abs(at - known.heard_at) >= self._step

    @property
    def _step(self) -> timedelta:
        return self._settings.offline_after / 9
