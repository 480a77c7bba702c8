"""`/channels`: where alerts are told. Notify owns them; secrets go in and never come out."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Literal

from litestar import delete, get, patch, post

from libs.common.errors import NotFound, RemoteError
from services.ui.api import bodies
from services.ui.api import channel_shapes as shapes
from services.ui.api.answering import Answered, answer, answer_page
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, ListParams, PathId, body_of, params_of
from services.ui.api.shapes import IdOut
from services.ui.calls import Answer
from services.ui.guards import needs
from services.ui.reads.short_lists import Order, page_of
from services.ui.site import is_id, site_of
from services.ui.views import Page


class ChannelNotFound(NotFound):
    """No channel has this id."""


_CHANNELS: Order[dict[str, Any]] = Order(
    {name: itemgetter(name) for name in ("id", "name", "kind", "created_at")}, "name",
    itemgetter("id"),
)  # fmt: skip


class ChannelParams(ListParams):
    name: str | None = None
    kind: str | None = None


class DeliveryParams(ListParams):
    """Newest first; there is no other order."""

    sort: Literal["", "-created_at"] = ""


async def _ask(
    request: ApiRequest, verb: str, arguments: dict[str, Any], channel_id: str | None = None
) -> Answer:
    """Ask notify. Raises: ChannelNotFound."""
    if channel_id is not None and not is_id(channel_id):
        raise ChannelNotFound
    try:
        return await site_of(request).calls.ask("notify", verb, arguments, request.user)
    except RemoteError as error:
        if error.code.endswith("not_found"):
            raise ChannelNotFound from None
        raise


@get(
    "/channels",
    opt=describe("Lists channels", params=ChannelParams, answer=shapes.ChannelOut, many=True),
)
async def list_channels(request: ApiRequest) -> Answered:
    params = params_of(request, ChannelParams)
    wanted = {"name": params.name, "kind": params.kind}
    done = await _ask(request, "list_channels", {})
    found = [
        channel for channel in done.result
        if all(value in (None, channel[field]) for field, value in wanted.items())
    ]  # fmt: skip
    return answer_page(shapes.ChannelOut, page_of(found, _CHANNELS, params.part))


@get("/channels/{channel_id:str}", opt=describe("Shows a channel", answer=shapes.ChannelOut))
async def get_channel(request: ApiRequest, channel_id: PathId) -> Answered:
    done = await _ask(request, "get_channel", {"id": channel_id}, channel_id)
    return answer(shapes.ChannelOut.model_validate(done.result))


@post(
    "/channels", guards=[needs("admin")], status_code=201,
    opt=describe(
        "Adds a channel", role="admin", body=bodies.NewChannel, answer=IdOut, status=201
    ),
)  # fmt: skip
async def create_channel(request: ApiRequest) -> Answered:
    wanted = await body_of(request, bodies.NewChannel)
    done = await _ask(request, "create_channel", wanted.sent())
    return answer(IdOut.model_validate(done.result), status=201, call=done)


@patch(
    "/channels/{channel_id:str}", guards=[needs("admin")],
    opt=describe(
        "Changes a channel", role="admin", body=bodies.ChannelPatch, answer=shapes.ChannelOut
    ),
)  # fmt: skip
async def patch_channel(request: ApiRequest, channel_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.ChannelPatch)
    arguments = {"id": channel_id, **wanted.sent()}
    done = await _ask(request, "patch_channel", arguments, channel_id)
    return answer(shapes.ChannelOut.model_validate(done.result), call=done)


@delete(
    "/channels/{channel_id:str}", guards=[needs("admin")], status_code=200,
    opt=describe("Deletes a channel", role="admin", status=204),
)  # fmt: skip
async def delete_channel(request: ApiRequest, channel_id: PathId) -> Answered:
    done = await _ask(request, "delete_channel", {"id": channel_id}, channel_id)
    return answer(None, status=204, call=done)


@post(
    "/channels/{channel_id:str}/test", guards=[needs("admin")], status_code=202,
    opt=describe(
        "Sends a test message", role="admin", answer=shapes.DeliveryIdOut, status=202
    ),
)  # fmt: skip
async def test_channel(request: ApiRequest, channel_id: PathId) -> Answered:
    done = await _ask(request, "test_channel", {"id": channel_id}, channel_id)
    return answer(shapes.DeliveryIdOut.model_validate(done.result), status=202, call=done)


@get(
    "/channels/{channel_id:str}/deliveries",
    opt=describe(
        "Lists a channel's deliveries", params=DeliveryParams, answer=shapes.DeliveryOut, many=True
    ),
)  # fmt: skip
async def list_deliveries(request: ApiRequest, channel_id: PathId) -> Answered:
    params = params_of(request, DeliveryParams)
    arguments: dict[str, Any] = {"channel_id": channel_id, "limit": params.limit + 1}
    if params.cursor:
        arguments["before"] = params.cursor
    found = (await _ask(request, "deliveries", arguments, channel_id)).result
    items = tuple(found[: params.limit])
    more = len(found) > params.limit
    return answer_page(shapes.DeliveryOut, Page(items, items[-1]["id"] if more else None))


HANDLERS = [
    list_channels, get_channel, create_channel, patch_channel, delete_channel, test_channel,
    list_deliveries,
]  # fmt: skip
