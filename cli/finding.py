"""Finds what a person means: a host, group, schedule, alert or job by name, id or part of an id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from cli.client import Client
from cli.table import Row
from libs.common.errors import BadInput, NotFound, RemoteError

SHOWN = 10
LEAST_OF_ID = 4
"""Fewer characters of an id are a guess, not a reference."""

RECENT_JOBS = 5000
FEW_HOSTS = 8
_NAME = re.compile(r"[a-z0-9._-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Ambiguous(BadInput):
    """Several things begin like this."""


def find_host(client: Client, word: str) -> Row:
    """Return the host with this name or id, or the only one that begins so.

    Raises: NotFound, Ambiguous (lists the candidates), and what the client raises.
    """
    word = word.strip()
    if not word or not (_NAME.fullmatch(word.lower()) or _ID.fullmatch(word)):
        raise NotFound(f"no host is called {word[:64]!r}")
    if _NAME.fullmatch(word.lower()):
        exact = list(client.items("/hosts", 1, name=word.lower()))
        if exact:
            return exact[0]
    return _host_by_id(client, word) or _host_by_beginning(client, word)


def _host_by_id(client: Client, word: str) -> Row | None:
    if not _ID.fullmatch(word) or len(word) < LEAST_OF_ID:
        return None
    try:
        found: Row = client.get(f"/hosts/{word}")
    except RemoteError as error:
        if error.code not in ("not_found", "host_not_found"):
            raise
        return None
    return found


def _host_by_beginning(client: Client, word: str) -> Row:
    found = list(client.items("/hosts", SHOWN + 1, name=f"{word.lower()}*"))
    if not found and len(word) >= LEAST_OF_ID:
        found = [host for host in client.items("/hosts") if _is_part(host["id"], word)]
    if not found:
        raise NotFound(f"no host is called {word!r}; see `dormice hosts`")
    return _only(word, found, lambda host: str(host["name"]))


def find_part(things: Iterable[Row], word: str, what: str) -> Row:
    """Return the thing with this name or id, or the only one whose id begins or ends so.

    Raises: NotFound, Ambiguous.
    """
    known = list(things)
    exact = [one for one in known if word in (one["id"], one["name"])]
    found = exact or [
        one for one in known if one["name"].startswith(word) or _is_part(one["id"], word)
    ]
    if not found:
        names = ", ".join(label(one) for one in known[:SHOWN]) or "none"
        raise NotFound(f"no {what} {word[:64]!r} here; there is: {names}")
    return _only(word, found, label)


def find_by_id(things: Iterable[Row], word: str, what: str) -> Row:
    """Return the thing whose id is, begins or ends with `word`. Raises: NotFound, Ambiguous."""
    found = []
    for one in things:
        if one["id"] == word:
            return one
        if _is_part(one["id"], word):
            found.append(one)
    if not found:
        raise NotFound(f"no {what} has the id {word[:64]!r}")
    return _only(word, found, lambda one: str(one["id"]))


def find_job(client: Client, word: str) -> Row:
    """Return a job by its id, or by a part of the id of a recent one."""
    if len(word) >= 26 and _ID.fullmatch(word):
        found: Row = client.get(f"/jobs/{word}")
        return found
    return find_by_id(client.items("/jobs", RECENT_JOBS), word, "recent job")


def find_alert(client: Client, word: str) -> Row:
    """Return an open alert by its id, a part of it, or its host if that has only one."""
    known = list(client.items("/alerts", state="open"))
    about = [alert for alert in known if word.lower() == alert["host_name"]]
    if about:
        return _only(word, about, lambda one: f"{short(one['id'])} ({one['kind']})")
    try:
        return find_by_id(known, word, "open alert")
    except NotFound:
        raise NotFound(
            f"no open alert {word[:64]!r}: an id, a part of it, or a host; see `dormice alerts`"
        ) from None


def short(whole_id: str) -> str:
    """Return what stands for an id in lists: its end, as ids of one day begin alike."""
    return whole_id[-8:]


def label(thing: Row) -> str:
    return str(thing["name"] or thing["id"])


def _is_part(known: str, word: str) -> bool:
    ours, theirs = known.lower(), word.lower()
    return len(word) >= LEAST_OF_ID and (ours.startswith(theirs) or ours.endswith(theirs))


def _only(word: str, found: Sequence[Row], say: Callable[[Row], str]) -> Row:
    if len(found) == 1:
        return found[0]
    names = ", ".join(map(say, found[:SHOWN])) + (", …" if len(found) > SHOWN else "")
    raise Ambiguous(f"{word!r} may be any of {names}; say more of it")


def host_names(client: Client, ids: set[str]) -> dict[str, str]:
    """Return names by id, with as few questions as possible."""
    if len(ids) <= FEW_HOSTS:
        found = (list(client.items("/hosts", 1, id=one)) for one in sorted(ids))
        return {host["id"]: host["name"] for hosts in found for host in hosts}
    return {host["id"]: host["name"] for host in client.items("/hosts")}
