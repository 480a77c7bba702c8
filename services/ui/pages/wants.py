"""What the tabs of a browser show, as they tell the live stream. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from libs.common.errors import BadInput
from services.ui import queries
from services.ui.guards import BadForm
from services.ui.site import is_id

Key = tuple[str, Any]
MOST_TABS = 64
MOST_IDS = 1000
_LIST_ID = re.compile(r"list-[a-z0-9]{1,32}")
SINGLE = {"host": "host", "job": "job", "enroll": "enroll"}
MANY = {"rows": "row", "alerts": "alert", "jobs": "jobrow", "plans": "plan"}


@dataclass(frozen=True, slots=True)
class ListWant:
    """A list that a tab shows: element `id`, what it lists, and the ids of its rows."""

    id: str
    of: str
    query: str
    known: tuple[str, ...]
    total: int


def keys_of(body: bytes) -> set[Key]:
    """Return the keys that all tabs want: `{"tabs": [{rows, alerts, jobs, plans, host, list, …}]}`.

    Raises: BadForm.
    """
    try:
        tabs = json.loads(body)["tabs"]
        if len(tabs) > MOST_TABS:
            raise BadForm("too many tabs")
        return {("fleet", "")} | {key for tab in tabs for key in _of_tab(tab)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, BadInput):
        raise BadForm("this is not what a page of ours shows") from None


def _of_tab(tab: dict[str, Any]) -> set[Key]:
    keys: set[Key] = set()
    for name, kind in MANY.items():
        keys |= {(kind, one) for one in _ids(tab.get(name, []))}
    for name, kind in SINGLE.items():
        if is_id(str(tab.get(name, ""))):
            keys.add((kind, str(tab[name])))
    if tab.get("list"):
        keys.add(("list", _list(tab["list"])))
    return keys


def _ids(given: list[Any]) -> list[str]:
    return [one for one in given[:MOST_IDS] if isinstance(one, str) and is_id(one)]


def _list(given: dict[str, Any]) -> ListWant:
    of, query = str(given["of"]), str(given.get("q", ""))
    if of not in ("hosts", "alerts", "jobs") or not _LIST_ID.fullmatch(str(given["id"])):
        raise BadForm("no such list")
    if of == "hosts":
        queries.parse_query(query)
    known = tuple(_ids(given.get("known", [])))
    return ListWant(str(given["id"]), of, query, known, int(given.get("total", 0)))
