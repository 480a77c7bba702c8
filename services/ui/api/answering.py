"""Answers: shapes as JSON, pages of lists, and the header that says what is not shown yet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from litestar import Response
from pydantic import BaseModel

from services.ui.api.shapes import ListOf, Shape
from services.ui.calls import Answer
from services.ui.views import Page

S = TypeVar("S", bound=Shape)

JSON = "application/json"
READ_MODEL = "Dormice-Read-Model"
"""`current`, or `behind`: the change is decided and stored, but what is shown is still older."""

Answered = Response[bytes]


def answer(
    body: BaseModel | None, *, status: int = 200, call: Answer | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answered:  # fmt: skip
    """Return a model as JSON, or nothing. `call`: the change that it is the answer to."""
    data = b"" if body is None else body.model_dump_json(by_alias=True).encode()
    return _respond(data, status, call, headers or {})


def answer_raw(value: Any, *, status: int = 200, call: Answer | None = None) -> Answered:
    """Return what an owner answered, as it is."""
    return _respond(json.dumps(value).encode(), status, call, {})


def _respond(data: bytes, status: int, call: Answer | None, headers: Mapping[str, str]) -> Answered:
    shown = {} if call is None else {READ_MODEL: "current" if call.shown else "behind"}
    return Response(data, status_code=status, media_type=JSON, headers={**headers, **shown})


def answer_page(
    shape: type[S], page: Page[Any], headers: Mapping[str, str] | None = None
) -> Answered:
    """Return a page of views as a list of shapes."""
    return answer(_list_of(shape, page.items, page.next), headers=headers)


def answer_all(shape: type[S], views: Iterable[Any]) -> Answered:
    """Return a short list whole."""
    return answer(_list_of(shape, views, None))


def _list_of(shape: type[S], views: Iterable[Any], following: str | None) -> ListOf[S]:
    items = [shape.model_validate(view) for view in views]
    return ListOf[shape](items=items, next=following)  # type: ignore[valid-type]
