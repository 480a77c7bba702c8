"""`/thresholds`: those of the fleet, of modes and of tags. The registry owns the last two."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from litestar import delete, get, patch

from libs.common.durations import format_duration
from libs.common.events.host import HostMode, Thresholds
from services.ui.api import bodies
from services.ui.api.answering import Answered, answer, answer_page
from services.ui.api.hosts import threshold_seconds
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, ListParams, Params, body_of, params_of
from services.ui.api.threshold_shapes import ThresholdRuleOut
from services.ui.guards import needs
from services.ui.reads.short_lists import Order, page_of
from services.ui.site import site_of
from services.ui.views import FleetDefaults

Rule = dict[str, Any]
LIMITS = ("offline", "stale", "missed")
FIELDS = ("scope", "name", *LIMITS)
_ORDER: Order[Rule] = Order(
    {"scope": lambda rule: rule["scope"], "name": lambda rule: rule["name"] or ""}, "scope",
    lambda rule: rule["name"] or "",
)  # fmt: skip


class ThresholdScope(Params):
    """Whose thresholds: of the hosts with a tag, or of one mode."""

    tag: str | None = None
    mode: HostMode | None = None


def _rules(fleet: FleetDefaults) -> Iterator[Rule]:
    yield _rule("fleet", None, fleet.offline_floor, fleet.stale_after, None)
    for mode, limits in fleet.rules.modes.items():
        yield _own("mode", mode, limits)
    for tag, limits in fleet.rules.tags.items():
        yield _own("tag", tag, limits)


def _own(scope: str, name: str, limits: Thresholds) -> Rule:
    spans = (limits.offline_seconds, limits.stale_seconds, limits.missed_seconds)
    return _rule(
        scope, name, *(None if span is None else timedelta(seconds=span) for span in spans)
    )


def _rule(scope: str, name: str | None, *spans: timedelta | None) -> Rule:
    texts = (None if span is None else format_duration(span) for span in spans)
    return dict(zip(FIELDS, (scope, name, *texts), strict=True))


@get(
    "/thresholds",
    opt=describe(
        "Lists the thresholds of the fleet, of modes and of tags", params=ListParams,
        answer=ThresholdRuleOut, many=True,
    ),
)  # fmt: skip
async def list_thresholds(request: ApiRequest) -> Answered:
    site, params = site_of(request), params_of(request, ListParams)
    fleet = await site.fleet_in_force()
    return answer_page(ThresholdRuleOut, page_of(_rules(fleet), _ORDER, params.part))


@patch(
    "/thresholds", guards=[needs("operator")],
    opt=describe(
        "Changes the thresholds of a tag or a mode", role="operator",
        body=bodies.ThresholdRulePatch, answer=ThresholdRuleOut,
    ),
)  # fmt: skip
async def set_thresholds(request: ApiRequest) -> Answered:
    """What is left out stays; null takes a threshold away. Raises: BadInput, Conflict."""
    wanted = await body_of(request, bodies.ThresholdRulePatch)
    place = wanted.model_dump(mode="json", include={"tag", "mode"}, exclude_none=True)
    asked = {**place, **threshold_seconds(wanted, frozenset(LIMITS))}
    done = await site_of(request).calls.ask("registry", "set_thresholds", asked, request.user)
    scope = "mode" if done.result["tag"] is None else "tag"
    rule = _own(scope, done.result[scope], Thresholds.model_validate(done.result))
    return answer(ThresholdRuleOut.model_validate(rule), call=done)


@delete(
    "/thresholds", guards=[needs("operator")], status_code=200,
    opt=describe(
        "Takes the thresholds of a tag or a mode away", role="operator", params=ThresholdScope,
        status=204,
    ),
)  # fmt: skip
async def clear_thresholds(request: ApiRequest) -> Answered:
    """Raises: BadInput, also for what has none."""
    wanted = params_of(request, ThresholdScope)
    asked = wanted.model_dump(mode="json", exclude_none=True)
    done = await site_of(request).calls.ask("registry", "clear_thresholds", asked, request.user)
    return answer(None, status=204, call=done)


HANDLERS = [list_thresholds, set_thresholds, clear_thresholds]
