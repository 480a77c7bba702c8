"""`/alerts`: list, one, acknowledge, resolve."""

from __future__ import annotations

from typing import Any, Literal

from litestar import get, post

from libs.common.errors import RemoteError
from libs.common.events.alert import AlertKind, Severity
from services.ui import queries
from services.ui.api import bodies, shapes
from services.ui.api.answering import Answered, answer, answer_page
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, ListParams, PathId, body_of, params_of
from services.ui.errors import AlertNotFound
from services.ui.guards import needs
from services.ui.queries import AlertFilter
from services.ui.site import is_id, site_of


class AlertParams(ListParams):
    """`state=open` includes acknowledged. `host_id=fleet`: only those of the whole fleet."""

    state: Literal["open", "unacknowledged", "acknowledged", "resolved"] | None = None
    id: str | None = None
    host_id: str | None = None
    kind: AlertKind | None = None
    severity: Severity | None = None
    silenced: Literal["true", "false"] | None = None
    held_by: str | None = None
    acknowledged_by: str | None = None

    def filter(self) -> AlertFilter:
        fleet_wide = self.host_id == "fleet"
        return AlertFilter(
            state=self.state, host_id=None if fleet_wide else self.host_id, kind=self.kind,
            severity=self.severity, fleet_wide=fleet_wide, alert_id=self.id,
            held_by=self.held_by, acknowledged_by=self.acknowledged_by,
            silenced=None if self.silenced is None else self.silenced == "true",
        )  # fmt: skip


@get("/alerts", opt=describe("Lists alerts", params=AlertParams, answer=shapes.AlertOut, many=True))
async def list_alerts(request: ApiRequest) -> Answered:
    site, params = site_of(request), params_of(request, AlertParams)
    wanted, now = params.filter(), site.now
    page = await site.read(lambda db: queries.list_alerts(db, wanted, now=now, part=params.part))
    return answer_page(shapes.AlertOut, page)


@get("/alerts/{alert_id:str}", opt=describe("Shows an alert", answer=shapes.AlertOut))
async def get_alert(request: ApiRequest, alert_id: PathId) -> Answered:
    site, now = site_of(request), site_of(request).now
    view: Any = await site.read(lambda db: queries.find_alert(db, alert_id, now=now))
    if view is None:
        view = await _ask(request, "get_alert", alert_id)
        return answer(shapes.AlertOut.model_validate(view.result))
    return answer(shapes.AlertOut.model_validate(view))


async def _ask(request: ApiRequest, verb: str, alert_id: str, **more: Any) -> Any:
    """Ask alerting about an alert. Raises: AlertNotFound, Conflict (it has ended already)."""
    if not is_id(alert_id):
        raise AlertNotFound
    arguments = {"alert_id": alert_id, **more}
    try:
        return await site_of(request).calls.ask("alerting", verb, arguments, request.user)
    except RemoteError as error:
        if error.code == "not_found":
            raise AlertNotFound from None
        raise


@post(
    "/alerts/{alert_id:str}/acknowledge", guards=[needs("operator")], status_code=200,
    opt=describe(
        "Takes an alert", role="operator", body=bodies.Acknowledgement, answer=shapes.AlertOut
    ),
)  # fmt: skip
async def acknowledge_alert(request: ApiRequest, alert_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.Acknowledgement)
    done = await _ask(request, "acknowledge", alert_id, **wanted.sent())
    return answer(shapes.AlertOut.model_validate(done.result), call=done)


@post(
    "/alerts/{alert_id:str}/resolve", guards=[needs("operator")], status_code=200,
    opt=describe("Ends an alert by hand", role="operator", answer=shapes.AlertOut),
)  # fmt: skip
async def resolve_alert(request: ApiRequest, alert_id: PathId) -> Answered:
    done = await _ask(request, "resolve", alert_id)
    return answer(shapes.AlertOut.model_validate(done.result), call=done)


HANDLERS = [list_alerts, get_alert, acknowledge_alert, resolve_alert]
