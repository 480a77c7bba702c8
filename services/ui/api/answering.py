"""Answers: shapes as JSON, pages of lists, and the header that says what is not shown yet."""

from __future__ import annotations

from collections.abc import Mapping
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
    shown = {} if call is None else {READ_MODEL: "current" if call.shown else "behind"}
    told = {**(headers or {}), **shown}
    return Response(data, status_code=status, media_type=JSON, headers=told)


def answer_page(
    shape: type[S], page: Page[Any], headers: Mapping[str, str] | None = None
) -> Answered:
    """Return a page of views as a list of shapes."""
    items = [shape.model_validate(view) for view in page.items]
    listed = ListOf[shape](items=items, next=page.next)  # type: ignore[valid-type]
    return answer(listed, headers=headers)
