"""`/hosts/{id}/timeline`, `/hosts/{id}/decisions`: what was, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from litestar import get
from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from libs.common.clock import to_micros
from services.ui.api import shapes
from services.ui.api.answering import Answered, answer_page
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, ListParams, PathId, params_of
from services.ui.reads.short_lists import Order, page_of
from services.ui.site import site_of
from services.ui.views import TimelineInterval


def _a_time(value: Any) -> Any:
    """A `+` in an address means a blank; a time zone must survive it."""
    return value.replace(" ", "+") if isinstance(value, str) and "T" in value else value


def _in_utc(value: datetime | None) -> datetime | None:
    try:
        return None if value is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("this moment cannot be written in UTC") from None


class TimelineParams(ListParams):
    """Oldest first."""

    since: Annotated[
        AwareDatetime | None, BeforeValidator(_a_time), AfterValidator(_in_utc)
    ] = None  # fmt: skip


_INTERVALS: Order[TimelineInterval] = Order(
    {"from": lambda interval: to_micros(interval.start)}, "from", lambda interval: interval.state
)


@get(
    "/hosts/{host_id:str}/timeline",
    opt=describe(
        "Lists when a host was online, offline, not observed; default 14 days",
        params=TimelineParams, answer=shapes.IntervalOut, many=True,
    ),
)  # fmt: skip
async def host_timeline(request: ApiRequest, host_id: PathId) -> Answered:
    site, params = site_of(request), params_of(request, TimelineParams)
    await site.get_record(host_id, request.user)
    since: datetime | None = params.since
    intervals = await site.calls.timeline(host_id, since, request.user)
    return answer_page(shapes.IntervalOut, page_of(intervals, _INTERVALS, params.part))


class DecisionParams(ListParams):
    """Newest first; there is no other order."""

    sort: Literal["", "-at"] = ""


@get(
    "/hosts/{host_id:str}/decisions",
    opt=describe(
        "Lists what was decided about a host, and why", params=DecisionParams,
        answer=shapes.DecisionOut, many=True,
    ),
)  # fmt: skip
async def host_decisions(request: ApiRequest, host_id: PathId) -> Answered:
    site, params = site_of(request), params_of(request, DecisionParams)
    await site.get_record(host_id, request.user)
    found = await site.calls.decisions(
        host_id, request.user, limit=params.limit, cursor=params.cursor
    )
    missing = {"Dormice-Missing": ", ".join(found.missing)} if found.missing else {}
    return answer_page(shapes.DecisionOut, found.page, headers=missing)


HANDLERS = [host_timeline, host_decisions]
