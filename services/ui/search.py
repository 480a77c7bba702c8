"""The query language of the fleet: `state:asleep tag:paris seen:>7d is:overdue web`.

Words are ANDed. `key:a,b` is either; `-` before a word negates it; quotes keep spaces. A word
without a key is part of the name. The same text is the page's search box, its address, `q=` of the
API and the CLI's argument. Pure: text → terms → SQL with parameters.

| key | values |
|---|---|
| state | online, offline, asleep, never_seen (also never-seen) |
| status | online, offline, never_seen: as detected, whatever the mode |
| mode | always-on (24x7), intermittent |
| tag, os, arch, name, id, timezone, version | the whole word; name also with `*` |
| seen, backup | `>7d` longer ago than, `<1h` less long ago; never |
| is | overdue, attention, backing-up, catching-up, alerting, failing, online, offline, asleep |
|    | restorable: it has a repository |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from libs.common.clock import to_micros
from libs.common.durations import parse_duration
from libs.common.errors import BadInput

OVERDUE = "host.overdue_at <= ? AND host.current_job_id IS NULL"
"""Who is at it now is not overdue (`policy.is_overdue_now`)."""

MAX_LENGTH = 1000
MAX_TERMS = 50
_WORD = re.compile(r'(?P<minus>-?)(?:(?P<key>[A-Za-z_]+):)?(?P<value>"[^"]*"|[^\s"]+|)(?:\s+|$)')


class BadQuery(BadInput):
    """The query cannot be read; the message names the word."""


@dataclass(frozen=True, slots=True)
class Term:
    """One word: `key` empty for a free word."""

    key: str
    values: tuple[str, ...]
    negated: bool = False

    def __str__(self) -> str:
        text = ",".join(self.values)
        text = f'"{text}"' if len(self.values) == 1 and re.search(r"[\s,]", text) else text
        return f"{'-' if self.negated else ''}{self.key + ':' if self.key else ''}{text}"


@dataclass(frozen=True, slots=True)
class HostQuery:
    """A search for hosts. `str(query)` is its text, in the same order."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(str(term) for term in self.terms)

    def with_term(self, key: str, *values: str, negated: bool = False) -> HostQuery:
        """Return this query with one more word, checked. Raises BadQuery."""
        term = _checked(Term(key, values, negated))
        return HostQuery((*self.terms, term))

    def without(self, key: str) -> HostQuery:
        """Return this query without the words of `key`."""
        return HostQuery(tuple(term for term in self.terms if term.key != key))


@dataclass(frozen=True, slots=True)
class Condition:
    """A piece of SQL over table `host`, and its parameters."""

    sql: str
    parameters: tuple[object, ...] = ()


def parse_query(text: str) -> HostQuery:
    """Read a query. Raises: BadQuery."""
    text = text.strip()
    if len(text) > MAX_LENGTH or "\x00" in text:
        raise BadQuery(f"a query has at most {MAX_LENGTH} characters")
    terms: list[Term] = []
    at = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None or match.end() == at:
            raise BadQuery(f"{text[at : at + 40]!r} cannot be read; is a quote missing?")
        terms.append(_term(match))
        at = match.end()
    if len(terms) > MAX_TERMS:
        raise BadQuery(f"a query has at most {MAX_TERMS} words")
    return HostQuery(tuple(terms))


def _term(match: re.Match[str]) -> Term:
    key, raw = (match["key"] or "").lower(), match["value"]
    quoted = raw.startswith('"')
    value = raw.strip('"') if quoted else raw
    values = (value,) if quoted or not key else tuple(part for part in value.split(",") if part)
    return _checked(Term(key, values, bool(match["minus"])))


def _checked(term: Term) -> Term:
    if term.key and term.key not in KEYS:
        raise BadQuery(f"{term.key!r} is not a key; use one of {', '.join(sorted(KEYS))}")
    if not any(term.values):
        raise BadQuery(f"{term} has no value")
    for value in term.values:
        _condition(term.key, value, _SOME_TIME)
    return term


_SOME_TIME = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def to_sql(query: HostQuery, now: datetime) -> Condition:
    """Return the WHERE clause of a query over table `host` (removed hosts never match)."""
    pieces, parameters = ["host.removed = 0"], []
    for term in query.terms:
        either = [_condition(term.key, value, now) for value in term.values]
        sql = " OR ".join(piece.sql for piece in either)
        pieces.append(f"NOT ifnull(({sql}), 0)" if term.negated else f"({sql})")
        parameters += [value for piece in either for value in piece.parameters]
    return Condition(" AND ".join(pieces), tuple(parameters))


# --- One word -------------------------------------------------------------------------------------

_STATES = ("online", "offline", "asleep", "never_seen")
_STATUSES = ("online", "offline", "never_seen")
_MODES = {"always-on": 1, "always_on": 1, "24x7": 1, "24×7": 1, "intermittent": 0}
_IS: dict[str, str] = {
    "attention": "host.attention = 1",
    "alerting": "host.open_alerts > 0",
    "failing": "host.failing > 0",
    "backing-up": "host.current_job_id IS NOT NULL",
    "catching-up": "host.arm_state IS NOT NULL",
    "restorable": "host.record ->> 'repository_id' IS NOT NULL",
}


def _condition(key: str, value: str, now: datetime) -> Condition:
    return KEYS[key](value, now) if key else _name_part(value)


def _name_part(value: str) -> Condition:
    escaped = re.sub(r"([%_\\])", r"\\\1", value)
    return Condition("host.name LIKE ? ESCAPE '\\'", (f"%{escaped}%",))


def _state(value: str, _: datetime) -> Condition:
    state = value.lower().replace("-", "_")
    if state not in _STATES:
        raise BadQuery(f"state:{value[:40]} is none of {', '.join(_STATES)}")
    return Condition("host.display = ?", (state,))


def _status(value: str, _: datetime) -> Condition:
    status = value.lower().replace("-", "_")
    if status not in _STATUSES:
        raise BadQuery(f"status:{value[:40]} is none of {', '.join(_STATUSES)}")
    return Condition("host.status = ?", (status,))


def _mode(value: str, _: datetime) -> Condition:
    if value.lower() not in _MODES:
        raise BadQuery(f"mode:{value[:40]} is neither always-on nor intermittent")
    return Condition("host.always_on = ?", (_MODES[value.lower()],))


def _is(value: str, now: datetime) -> Condition:
    word = value.lower().replace("_", "-")
    if word == "overdue":
        return Condition(OVERDUE, (to_micros(now),))
    if word in _IS:
        return Condition(_IS[word])
    if word in _MODES:
        return _mode(word, now)
    if word.replace("-", "_") in _STATES:
        return _state(word, now)
    raise BadQuery(f"is:{value[:40]} is none of overdue, {', '.join(_IS)}")


def _ago(column: str) -> Callable[[str, datetime], Condition]:
    def condition(value: str, now: datetime) -> Condition:
        if value == "never":
            return Condition(f"{column} IS NULL")
        if value[:1] not in ("<", ">"):
            raise BadQuery(f"{value[:40]!r} is no age; write >7d, <1h or never")
        try:
            moment = to_micros(now - parse_duration(value[1:].lstrip("=")))
        except (ValueError, OverflowError) as error:
            raise BadQuery(str(error)) from None
        return Condition(f"{column} {'<' if value[0] == '>' else '>'} ?", (moment,))

    return condition


def _equal(column: str) -> Callable[[str, datetime], Condition]:
    return lambda value, _: Condition(f"{column} = ? COLLATE NOCASE", (value,))


def _name(value: str, _: datetime) -> Condition:
    if "*" not in value:
        return Condition("host.name = ?", (value.lower(),))
    return Condition("host.name GLOB ?", (re.sub(r"([\[\]?])", r"[\1]", value.lower()),))


def _tag(value: str, _: datetime) -> Condition:
    sql = "EXISTS (SELECT 1 FROM host_tag WHERE host_tag.host_id = host.id AND host_tag.tag = ?)"
    return Condition(sql, (value.lower(),))


KEYS: dict[str, Callable[[str, datetime], Condition]] = {
    "state": _state,
    "status": _status,
    "mode": _mode,
    "is": _is,
    "tag": _tag,
    "seen": _ago("host.last_seen_at"),
    "backup": _ago("host.last_backup_at"),
    "name": _name,
    "id": _equal("host.id"),
    "os": _equal("host.os"),
    "arch": _equal("host.arch"),
    "timezone": _equal("host.timezone"),
    "version": _equal("host.agent_version"),
}
