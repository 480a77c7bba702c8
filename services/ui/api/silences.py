"""`/silences`: of which alerts nobody is told, from when until when. Alerting owns them."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Literal

from litestar import delete, get, post

from libs.common.errors import BadInput, NotFound, RemoteError
from libs.common.events.alert import AlertKind
from services.ui.api import bodies
from services.ui.api.answering import Answered, answer, answer_page
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, ListParams, PathId, body_of, params_of
from services.ui.api.silence_shapes import SilenceOut
from services.ui.calls import Answer
from services.ui.guards import needs
from services.ui.reads.short_lists import Order, page_of
from services.ui.site import is_id, site_of


class SilenceNotFound(NotFound):
    """No silence has this id."""


_SILENCES: Order[dict[str, Any]] = Order(
    {name: itemgetter(name) for name in ("id", "state", "from", "created_at")}
    | {"to": lambda one: one["to"] or "9"},
    "-id", itemgetter("id"),
)  # fmt: skip


class SilenceParams(ListParams):
    """All that are not over, and the latest of those that are; `current`: only the former."""

    state: Literal["current", "scheduled", "active", "over"] | None = None
    host_id: str | None = None
    tag: str | None = None
    kind: AlertKind | None = None

    def fits(self, silence: dict[str, Any]) -> bool:
        states = ("scheduled", "active") if self.state == "current" else (self.state,)
        asked = {"host_id": self.host_id, "tag": self.tag, "kind": self.kind}
        return (self.state is None or silence["state"] in states) and all(
            value in (None, silence[field]) for field, value in asked.items()
        )


async def _ask(request: ApiRequest, verb: str, silence_id: str) -> Answer:
    """Ask alerting about a silence. Raises: SilenceNotFound, Conflict (it is over already)."""
    if not is_id(silence_id):
        raise SilenceNotFound
    try:
        asked = {"silence_id": silence_id}
        return await site_of(request).calls.ask("alerting", verb, asked, request.user)
    except RemoteError as error:
        if error.code == "not_found":
            raise SilenceNotFound from None
        raise


@get(
    "/silences", opt=describe("Lists silences", params=SilenceParams, answer=SilenceOut, many=True)
)
async def list_silences(request: ApiRequest) -> Answered:
    params = params_of(request, SilenceParams)
    done = await site_of(request).calls.ask("alerting", "list_silences", {}, request.user)
    found = [silence for silence in done.result if params.fits(silence)]
    return answer_page(SilenceOut, page_of(found, _SILENCES, params.part))


@get("/silences/{silence_id:str}", opt=describe("Shows a silence", answer=SilenceOut))
async def get_silence(request: ApiRequest, silence_id: PathId) -> Answered:
    done = await _ask(request, "get_silence", silence_id)
    return answer(SilenceOut.model_validate(done.result))


@post(
    "/silences", guards=[needs("operator")], status_code=201,
    opt=describe(
        "Silences alerts for a while", role="operator", body=bodies.NewSilence, answer=SilenceOut,
        status=201,
    ),
)  # fmt: skip
async def create_silence(request: ApiRequest) -> Answered:
    """Raises: BadInput, also for an unknown host: it is in the body, the address is right."""
    wanted = (await body_of(request, bodies.NewSilence)).sent(from_="from", for_="for")
    try:
        done = await site_of(request).calls.ask("alerting", "create_silence", wanted, request.user)
    except RemoteError as error:
        if error.code == "host_not_found":
            raise BadInput(error.message) from None
        raise
    return answer(SilenceOut.model_validate(done.result), status=201, call=done)


@delete(
    "/silences/{silence_id:str}", guards=[needs("operator")], status_code=200,
    opt=describe("Ends a silence now", role="operator", status=204),
)  # fmt: skip
async def end_silence(request: ApiRequest, silence_id: PathId) -> Answered:
    done = await _ask(request, "end_silence", silence_id)
    return answer(None, status=204, call=done)


HANDLERS = [list_silences, get_silence, create_silence, end_silence]
