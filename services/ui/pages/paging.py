"""Which part of a list an address asks for, and the address of its other parts."""

from __future__ import annotations

from urllib.parse import urlencode

from libs.common.ids import new_id
from services.ui.pages.rendering import PageRequest
from services.ui.queries import Slice


def new_list_id() -> str:
    """Return the element id of a list's state: of this page alone, as each tab has its own rows."""
    return f"list-{new_id().lower()}"


def part_of(request: PageRequest) -> Slice:
    """Raises: BadInput."""
    return Slice("", request.query_params.get("cursor") or None)


def first_of(request: PageRequest) -> int:
    """Return the number of the first row, which the link that led here says."""
    text = request.query_params.get("at", "1")
    if not request.query_params.get("cursor") or not (text.isascii() and text.isdigit()):
        return 1
    return max(int(text[:9]), 1)


def base_of(request: PageRequest, *kept: str) -> str:
    """Return this page's address with its filters, up to the cursor."""
    given = {name: request.query_params.get(name, "") for name in kept}
    return request.url.path + "?" + "".join(f"{urlencode({k: v})}&" for k, v in given.items() if v)


def chosen(request: PageRequest, name: str) -> str | None:
    """Return a filter of the address, None if it is not given."""
    return request.query_params.get(name) or None
