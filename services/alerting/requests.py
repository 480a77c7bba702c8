"""The part of alerting's machine that answers calls."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from libs.common.clock import to_rfc3339
from libs.common.errors import Conflict, HostNotFound, NotFound
from libs.common.events.alert import Alert, AlertKind, AlertState
from libs.common.events.host import Actor, Audit
from libs.common.loop.machine import Verb
from libs.common.loop.tx import Tx
from services.alerting import alerts, outage, store
from services.alerting import store_alerts as rows
from services.alerting.alerts import ResolveReason
from services.alerting.conditions import Conditions


class AlertId(BaseModel):
    """Arguments of `resolve` and `get_alert`."""

    alert_id: str = Field(max_length=64)


class Acknowledge(AlertId):
    """Arguments of `acknowledge`."""

    note: str | None = Field(default=None, max_length=1000)


class ListAlerts(BaseModel):
    """Arguments of `list_alerts`; `state` open includes acknowledged."""

    state: AlertState | None = None
    host_id: str | None = Field(default=None, max_length=64)
    kind: AlertKind | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class Forecast(BaseModel):
    """Arguments of `forecast`."""

    host_id: str = Field(max_length=64)


class Requests:
    """The verbs of alerting."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self.verbs = {
            "acknowledge": Verb(self.on_acknowledge, Acknowledge, role="operator"),
            "resolve": Verb(self.on_resolve, AlertId, role="operator"),
            "get_alert": Verb(self.on_get_alert, AlertId),
            "list_alerts": Verb(self.on_list_alerts, ListAlerts),
            "forecast": Verb(self.on_forecast, Forecast),
        }

    def on_acknowledge(self, tx: Tx, actor: Actor, wanted: Acknowledge) -> dict[str, Any]:
        """Raises: NotFound, Conflict if it is acknowledged or resolved already."""
        alert = _get_unresolved(tx, wanted.alert_id)
        if alert.state is AlertState.ACKNOWLEDGED:
            raise Conflict(f"already acknowledged by {alert.acknowledged_by}")
        taken = alerts.acknowledge(tx, alert, actor, wanted.note)
        _audit(tx, actor, alert, taken, "alert.acknowledged")
        return _body(tx, taken)

    def on_resolve(self, tx: Tx, actor: Actor, wanted: AlertId) -> dict[str, Any]:
        """End an alert by hand; a condition that holds is raised again after 60 s.

        Raises: NotFound, Conflict if it is resolved already.
        """
        alert = _get_unresolved(tx, wanted.alert_id)
        if alert.kind is AlertKind.FLEET_OUTAGE:
            ended = outage.end(tx, alert, ResolveReason.OPERATOR, by=actor.name)
        else:
            until = self._conditions.mute_if_it_holds(tx, alert)
            if until is not None:
                muted = {**alert.facts, "muted_until": to_rfc3339(until)}
                alert = alert.model_copy(update={"facts": muted})
            ended = alerts.resolve(tx, alert, ResolveReason.OPERATOR, by=actor.name)
        _audit(tx, actor, alert, ended, "alert.resolved")
        return _body(tx, ended)

    def on_get_alert(self, tx: Tx, _: Actor, wanted: AlertId) -> dict[str, Any]:
        """Raises: NotFound."""
        return _body(tx, _get_alert(tx, wanted.alert_id))

    def on_list_alerts(self, tx: Tx, _: Actor, wanted: ListAlerts) -> list[dict[str, Any]]:
        """Return alerts, newest first."""
        query = rows.Query(wanted.state, wanted.host_id, wanted.kind, wanted.limit)
        return [_body(tx, alert) for alert in rows.list_alerts(tx, query)]

    def on_forecast(self, tx: Tx, _: Actor, wanted: Forecast) -> dict[str, Any] | None:
        """Return {kind, at} of the next alert if nothing happens, or None.

        Raises: HostNotFound.
        """
        host = store.find_present(tx, wanted.host_id)
        if host is None:
            raise HostNotFound(f"no host has the id {wanted.host_id}")
        following = self._conditions.forecast(tx, host)
        if following is None:
            return None
        kind, at = following
        return {"kind": kind, "at": to_rfc3339(at)}


def _get_alert(tx: Tx, alert_id: str) -> Alert:
    alert = rows.find_alert(tx, alert_id)
    if alert is None:
        raise NotFound(f"no alert has the id {alert_id}")
    return alert


def _get_unresolved(tx: Tx, alert_id: str) -> Alert:
    alert = _get_alert(tx, alert_id)
    if alert.state is AlertState.RESOLVED:
        raise Conflict(f"already resolved{f' by {alert.resolved_by}' if alert.resolved_by else ''}")
    return alert


def _body(tx: Tx, alert: Alert) -> dict[str, Any]:
    return alerts.shown(tx, alert).model_dump(mode="json")


def _audit(tx: Tx, actor: Actor, before: Alert, after: Alert, action: str) -> None:
    tx.emit(
        Audit(
            service="alerting",
            target=after.id,
            action=action,
            actor=actor,
            at=tx.now,
            host_id=after.host_id,
            before={"state": before.state},
            after={"state": after.state, "kind": after.kind, "note": after.note},
        )
    )
