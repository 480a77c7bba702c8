"""Pages of lists that come whole from their owner: what `paging` does in SQL, done in memory."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from libs.common.errors import BadInput
from services.ui.reads.paging import Slice, decode_cursor, encode_cursor, find_sort
from services.ui.views import Page

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Order(Generic[T]):
    """How a list can be sorted: each key a text or a number, `identity` unique."""

    sorts: Mapping[str, Callable[[T], Any]]
    default_sort: str
    identity: Callable[[T], str]


def page_of(items: Iterable[T], order: Order[T], part: Slice) -> Page[T]:
    """Return the wanted page. Raises: BadInput, as `fetch_page` does."""
    sort = part.sort or order.default_sort
    descending, key = find_sort(sort, order.sorts)

    def edge_of(item: T) -> tuple[Any, str]:
        return key(item), order.identity(item)

    ordered = sorted(items, key=edge_of, reverse=descending)
    if part.cursor:
        edge = _edge(part.cursor, sort)
        is_after = operator.lt if descending else operator.gt
        try:
            ordered = [item for item in ordered if is_after(edge_of(item), edge)]
        except TypeError:
            raise BadInput("this cursor belongs to another list") from None
    found = ordered[: part.limit]
    more = len(ordered) > part.limit
    return Page(tuple(found), next=encode_cursor(sort, edge_of(found[-1])) if more else None)


def _edge(cursor: str, sort: str) -> tuple[Any, Any]:
    backward, edge = decode_cursor(cursor, sort)
    if backward:
        raise BadInput("this list is read forward only")
    return edge
