"""Pages of lists that are in memory: each item once, whatever the sort and the page's size."""

from __future__ import annotations

import pytest

from libs.common.errors import BadInput
from services.ui.reads.paging import Slice, encode_cursor
from services.ui.reads.short_lists import Order, page_of

ITEMS = [("b", 2), ("a", 2), ("d", 1), ("c", 3)]
ORDER: Order[tuple[str, int]] = Order(
    {"name": lambda item: item[0], "size": lambda item: item[1]}, "name", lambda item: item[0]
)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("sort", "names"), [("", "abcd"), ("-name", "dcba"), ("size", "dabc"), ("-size", "cbad")]
)
def test_the_pages_are_the_list(sort, names, limit):
    found, cursor = "", None
    while True:
        page = page_of(ITEMS, ORDER, Slice(sort, cursor, limit))
        assert len(page.items) <= limit
        found, cursor = found + "".join(name for name, _ in page.items), page.next
        if cursor is None:
            break
    assert found == names


def test_an_item_that_is_gone_moves_nothing():
    page = page_of(ITEMS, ORDER, Slice("", None, 2))
    rest = page_of([("a", 2), ("c", 3), ("d", 1)], ORDER, Slice("", page.next, 2))
    assert [name for name, _ in rest.items] == ["c", "d"]


@pytest.mark.parametrize(
    ("sort", "cursor"),
    [
        ("shape", None),
        ("", "nope"),
        ("size", encode_cursor("name", ("a", "a"))),
        ("", encode_cursor("name", (7, "a"))),
        ("", encode_cursor("name", ("a", "a"), backward=True)),
    ],
    ids=["unknown sort", "no cursor", "of another sort", "of another list", "backward"],
)
def test_what_is_none_of_ours_is_refused(sort, cursor):
    with pytest.raises(BadInput):
        page_of(ITEMS, ORDER, Slice(sort, cursor, 2))
