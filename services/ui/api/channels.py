"""`/channels`: where alerts are told. Notify owns them; secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from litestar import delete, get, patch, post
from pydantic import Field

from libs.common.errors import NotFound, RemoteError
from services.ui.api import bodies, shapes
from services.ui.api.answering import Answered, answer, answer_raw
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, Params, PathId, body_of, params_of
from services.ui.calls import Answer
from services.ui.guards import needs
from services.ui.reads.paging import DEFAULT_LIMIT, MAX_LIMIT
from services.ui.site import is_id, site_of


class ChannelNotFound(NotFound):
    """No channel has this id."""


class DeliveryParams(Params):
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)


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


@get("/channels", opt=describe("Lists channels"))
async def list_channels(request: ApiRequest) -> Answered:
    done = await _ask(request, "list_channels", {})
    return answer_raw({"items": done.result, "next": None})


@get("/channels/{channel_id:str}", opt=describe("Shows a channel"))
async def get_channel(request: ApiRequest, channel_id: PathId) -> Answered:
    done = await _ask(request, "get_channel", {"id": channel_id}, channel_id)
    return answer_raw(done.result)


@post(
    "/channels", guards=[needs("admin")], status_code=201,
    opt=describe(
        "Adds a channel", role="admin", body=bodies.NewChannel, answer=shapes.IdOut, status=201
    ),
)  # fmt: skip
async def create_channel(request: ApiRequest) -> Answered:
    wanted = await body_of(request, bodies.NewChannel)
    done = await _ask(request, "create_channel", wanted.sent())
    return answer_raw(done.result, status=201, call=done)


@patch(
    "/channels/{channel_id:str}", guards=[needs("admin")],
    opt=describe("Changes a channel", role="admin", body=bodies.ChannelPatch),
)  # fmt: skip
async def patch_channel(request: ApiRequest, channel_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.ChannelPatch)
    arguments = {"id": channel_id, **wanted.sent()}
    done = await _ask(request, "patch_channel", arguments, channel_id)
    return answer_raw(done.result, call=done)


@delete(
    "/channels/{channel_id:str}", guards=[needs("admin")], status_code=200,
    opt=describe("Deletes a channel", role="admin", status=204),
)  # fmt: skip
async def delete_channel(request: ApiRequest, channel_id: PathId) -> Answered:
    done = await _ask(request, "delete_channel", {"id": channel_id}, channel_id)
    return answer(None, status=204, call=done)


@post(
    "/channels/{channel_id:str}/test", guards=[needs("admin")], status_code=202,
    opt=describe("Sends a test message", role="admin", status=202),
)  # fmt: skip
async def test_channel(request: ApiRequest, channel_id: PathId) -> Answered:
    done = await _ask(request, "test_channel", {"id": channel_id}, channel_id)
    return answer_raw(done.result, status=202, call=done)


@get(
    "/channels/{channel_id:str}/deliveries",
    opt=describe("Lists a channel's latest deliveries", params=DeliveryParams),
)
async def list_deliveries(request: ApiRequest, channel_id: PathId) -> Answered:
    params = params_of(request, DeliveryParams)
    arguments = {"channel_id": channel_id, "limit": params.limit}
    done = await _ask(request, "deliveries", arguments, channel_id)
    return answer_raw({"items": done.result, "next": None})


HANDLERS = [
    list_channels, get_channel, create_channel, patch_channel, delete_channel, test_channel,
    list_deliveries,
]  # fmt: skip
