"""Reads what a request says: JSON bodies and query parameters, strictly and within limits."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from litestar import Request
from litestar.params import FromPath
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from libs.common.errors import BadInput
from services.ui.api.problems import BadBody, WrongContentType
from services.ui.reads.paging import DEFAULT_LIMIT, MAX_CURSOR, MAX_LIMIT, Slice

M = TypeVar("M", bound=BaseModel)
ApiRequest = Request[Any, Any, Any]
PathId = FromPath[str]

MAX_BODY = 1024 * 1024
MAX_DEPTH = 64
LARGEST_NUMBER = 2**63
MAX_MISTAKES = 20


class Body(BaseModel):
    """Base of every body: a field that we don't know is a mistake, a string is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def sent(self, **names: str) -> dict[str, Any]:
        """Return the fields that were sent, as JSON; `names` renames some."""
        values = self.model_dump(mode="json", exclude_unset=True)
        return {names.get(name, name): value for name, value in values.items()}


class Params(BaseModel):
    """Base of every set of query parameters; they come as text."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ListParams(Params):
    """What every list takes."""

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(default=None, max_length=MAX_CURSOR)
    sort: str = Field(default="", max_length=64)

    @property
    def part(self) -> Slice:
        return Slice(self.sort, self.cursor or None, self.limit)


async def body_of(request: ApiRequest, model: type[M]) -> M:
    """Return the body as `model`; no body at all counts as an empty object.

    Raises: WrongContentType, BadBody (not JSON), BadInput (not what is asked for).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = await request.body()
    if data and kind and kind != "application/json" and not kind.endswith("+json"):
        raise WrongContentType
    return _validated(model, parse_json(data) if data.strip() else {})


def parse_json(data: bytes) -> Any:
    """Raises: BadBody for what is not JSON, or nested too deeply, or cannot be stored."""
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadBody from None
    _check(value)
    return value


def _refuse_constant(_: str) -> None:
    raise ValueError


def _check(value: Any) -> None:
    """Refuse what would break further in: deep nesting, half characters, endless numbers."""
    level = [value]
    for _ in range(MAX_DEPTH):
        if not level:
            return
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str):
                _check_text(one)
            elif isinstance(one, int) and abs(one) >= LARGEST_NUMBER:
                raise BadBody("a number in the body is too large")
        level = below
    raise BadBody(f"the body is nested more than {MAX_DEPTH} levels deep")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadBody("a text in the body contains half a character") from None


def params_of(request: ApiRequest, model: type[M]) -> M:
    """Return the query parameters as `model`. Raises: BadInput."""
    given = request.query_params
    twice = [name for name in given if len(given.getall(name)) > 1]
    if twice:
        raise BadInput(f"{twice[0][:40]} is given twice")
    return _validated(model, dict(given))


def _validated(model: type[M], value: Any) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        mistakes = [
            {"field": ".".join(str(part) for part in one["loc"])[:80], "message": _said(one, model)}
            for one in found[:MAX_MISTAKES]
        ]
        first = mistakes[0]
        where = f"{first['field']}: " if first["field"] else ""
        raise BadInput(where + first["message"], errors=mistakes) from None


def _said(mistake: ErrorDetails, model: type[BaseModel]) -> str:
    if mistake["type"] == "extra_forbidden" and len(mistake["loc"]) == 1:
        return f"is none of {', '.join(sorted(model.model_fields))}"
    return mistake["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
