"""`/operators` and `/api-tokens`: who may come in. For admins."""

from __future__ import annotations

from typing import Any

from litestar import delete, get, patch, post

from libs.common.errors import BadInput
from services.ui import access, store_access
from services.ui.api import bodies, shapes
from services.ui.api.answering import Answered, answer, answer_page
from services.ui.api.openapi import describe
from services.ui.api.reading import ApiRequest, Body, ListParams, PathId, body_of, params_of
from services.ui.errors import ApiTokenNotFound, OperatorNotFound
from services.ui.guards import needs
from services.ui.site import site_of

ADMIN = [needs("admin")]


@get(
    "/operators", guards=ADMIN,
    opt=describe(
        "Lists operators", role="admin", params=ListParams, answer=shapes.OperatorOut, many=True
    ),
)  # fmt: skip
async def list_operators(request: ApiRequest) -> Answered:
    part = params_of(request, ListParams).part
    page = await site_of(request).read(lambda db: store_access.list_operators(db, part))
    return answer_page(shapes.OperatorOut, page)


@get(
    "/operators/{operator_id:str}", guards=ADMIN,
    opt=describe("Shows an operator", role="admin", answer=shapes.OperatorOut),
)  # fmt: skip
async def get_operator(request: ApiRequest, operator_id: PathId) -> Answered:
    view = await site_of(request).read(lambda db: store_access.find_operator(db, operator_id))
    if view is None:
        raise OperatorNotFound
    return answer(shapes.OperatorOut.model_validate(view))


@post(
    "/operators", guards=ADMIN, status_code=201,
    opt=describe(
        "Adds an operator", role="admin", body=bodies.NewOperator, answer=shapes.OperatorOut,
        status=201,
    ),
)  # fmt: skip
async def create_operator(request: ApiRequest) -> Answered:
    wanted = await body_of(request, bodies.NewOperator)
    password = wanted.password.get_secret_value()
    view = await site_of(request).auth.create_operator(
        request.user, wanted.name, wanted.role, password
    )
    return answer(shapes.OperatorOut.model_validate(view), status=201)


@patch(
    "/operators/{operator_id:str}", guards=ADMIN,
    opt=describe(
        "Changes an operator's role or password, or shuts one out", role="admin",
        body=bodies.OperatorPatch, answer=shapes.OperatorOut,
    ),
)  # fmt: skip
async def patch_operator(request: ApiRequest, operator_id: PathId) -> Answered:
    wanted = await body_of(request, bodies.OperatorPatch)
    changes = _changes(wanted)
    if wanted.password is not None:
        changes["password"] = wanted.password.get_secret_value()
    view = await site_of(request).auth.change_operator(request.user, operator_id, changes)
    return answer(shapes.OperatorOut.model_validate(view))


def _changes(wanted: Body) -> dict[str, Any]:
    """Return what was sent; null is no value here. Raises: BadInput."""
    changes: dict[str, Any] = wanted.model_dump(exclude_unset=True)
    empty = [name for name, value in changes.items() if value is None]
    if empty or not changes:
        raise BadInput(f"{empty[0]} must not be null" if empty else "nothing to change is given")
    return changes


@delete(
    "/operators/{operator_id:str}", guards=ADMIN, status_code=200,
    opt=describe("Deletes an operator", role="admin", status=204),
)  # fmt: skip
async def delete_operator(request: ApiRequest, operator_id: PathId) -> Answered:
    actor = request.user
    await site_of(request).auth.submit(lambda tx: access.delete_operator(tx, actor, operator_id))
    return answer(None, status=204)


# --- API tokens -----------------------------------------------------------------------------------


@get(
    "/api-tokens", guards=ADMIN,
    opt=describe(
        "Lists API tokens", role="admin", params=ListParams, answer=shapes.ApiTokenOut, many=True
    ),
)  # fmt: skip
async def list_api_tokens(request: ApiRequest) -> Answered:
    part = params_of(request, ListParams).part
    page = await site_of(request).read(lambda db: store_access.list_tokens(db, part))
    return answer_page(shapes.ApiTokenOut, page)


@get(
    "/api-tokens/{token_id:str}", guards=ADMIN,
    opt=describe("Shows an API token", role="admin", answer=shapes.ApiTokenOut),
)  # fmt: skip
async def get_api_token(request: ApiRequest, token_id: PathId) -> Answered:
    view = await site_of(request).read(lambda db: store_access.find_token(db, token_id))
    if view is None:
        raise ApiTokenNotFound
    return answer(shapes.ApiTokenOut.model_validate(view))


@post(
    "/api-tokens", guards=ADMIN, status_code=201,
    opt=describe(
        "Makes an API token", role="admin", body=bodies.NewApiToken,
        answer=shapes.NewApiTokenOut, status=201,
    ),
)  # fmt: skip
async def create_api_token(request: ApiRequest) -> Answered:
    wanted = await body_of(request, bodies.NewApiToken)
    if wanted.expires_in is not None and wanted.expires_in.total_seconds() < 1:
        raise BadInput("expires_in must be at least 1 second")
    secret, view = await site_of(request).auth.create_token(
        request.user, wanted.name, wanted.role, wanted.expires_in
    )
    kept = shapes.ApiTokenOut.model_validate(view).model_dump()
    return answer(shapes.NewApiTokenOut(token=secret, **kept), status=201)


@patch(
    "/api-tokens/{token_id:str}", guards=ADMIN,
    opt=describe(
        "Changes an API token's name or role", role="admin", body=bodies.ApiTokenPatch,
        answer=shapes.ApiTokenOut,
    ),
)  # fmt: skip
async def patch_api_token(request: ApiRequest, token_id: PathId) -> Answered:
    actor = request.user
    changes = _changes(await body_of(request, bodies.ApiTokenPatch))
    view = await site_of(request).auth.submit(
        lambda tx: access.change_token(tx, actor, token_id, changes)
    )
    return answer(shapes.ApiTokenOut.model_validate(view))


@delete(
    "/api-tokens/{token_id:str}", guards=ADMIN, status_code=200,
    opt=describe("Deletes an API token; it stops working at once", role="admin", status=204),
)  # fmt: skip
async def delete_api_token(request: ApiRequest, token_id: PathId) -> Answered:
    actor = request.user
    await site_of(request).auth.submit(lambda tx: access.delete_token(tx, actor, token_id))
    return answer(None, status=204)


HANDLERS = [
    list_operators, get_operator, create_operator, patch_operator, delete_operator,
    list_api_tokens, get_api_token, create_api_token, patch_api_token, delete_api_token,
]  # fmt: skip
