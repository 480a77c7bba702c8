"""How a cron expression is written: five fields, read into plain lists of numbers.

Stricter than every library: what croniter, cronsim and Debian's cron do not read alike is refused.
`libs/common/cron.py` says what it is for.
"""

from __future__ import annotations

import re
from typing import ClassVar

from libs.common.errors import DormiceError

MAX_LENGTH = 256
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: list[tuple[str, range, dict[str, int]]] = [
    ("minute", range(60), {}),
    ("hour", range(24), {}),
    ("day", range(1, 32), {}),
    ("month", range(1, 13), {name: at for at, name in enumerate(_MONTHS, 1)}),
    ("weekday", range(8), {name: at for at, name in enumerate(_DAYS)}),
]
_TERM = re.compile(r"(?P<low>\*|[0-9a-z]+)(?:-(?P<high>[0-9a-z]+))?(?:/(?P<step>[0-9]{1,4}))?")


class BadCron(DormiceError):
    """This is not a cron expression that can ever fire."""

    code: ClassVar[str] = "bad_cron"


def read(expression: str) -> tuple[list[str], list[str]]:
    """Return the five fields as written and as lists of numbers (`*`: all). Raises BadCron."""
    fields = _fields_of(expression)
    rules = zip(fields, _FIELDS, strict=True)
    return fields, [_list_of(text, *rule) for text, rule in rules]


def _fields_of(expression: str) -> list[str]:
    if len(expression) > MAX_LENGTH:
        raise BadCron(f"a cron expression has at most {MAX_LENGTH} characters")
    text = expression.strip().lower()
    if text.startswith("@"):
        if text not in ALIASES:
            known = ", ".join(ALIASES)
            raise BadCron(f"{expression!r} is not a time of its own; known are {known}")
        text = ALIASES[text]
    fields = re.split(r"[ \t]+", text)
    if len(fields) != len(_FIELDS):
        raise BadCron(
            f"{expression!r} must have exactly five fields: minute hour day month weekday"
        )
    return fields


def _list_of(text: str, field: str, allowed: range, words: dict[str, int]) -> str:
    """Return a field as the numbers that it stands for, `*` if all. Raises BadCron."""
    values = {value for term in text.split(",") for value in _values(term, field, allowed, words)}
    everything = set(allowed)
    if field == "weekday":
        values, everything = {value % 7 for value in values}, set(range(7))
    return "*" if values == everything else ",".join(map(str, sorted(values)))


def _values(term: str, field: str, allowed: range, words: dict[str, int]) -> range:
    """Return what one term of a list stands for, if every cron reads it alike. Raises BadCron."""
    match = _TERM.fullmatch(term)
    if match is None:
        raise BadCron(f"{term!r} is not a {field}; use a number, a-b, a list, * or */n")
    low, high, step = match["low"], match["high"], int(match["step"] or 1)
    if step not in range(1, allowed.stop):
        raise BadCron(f"{term!r}: a step of {step} makes no sense for the {field}")
    if low == "*":
        if high is not None:
            raise BadCron(f"{term!r} is not a {field}; * is no end of a range")
        return allowed[::step]
    first = _value_of(low, term, field, allowed, words)
    if high is not None:
        last = _value_of(high, term, field, allowed, words)
    elif match["step"] is None:
        last = first
    elif field == "weekday":
        raise BadCron(f"{term!r} is read differently by every cron; write {first}-6/{step}")
    else:
        last = allowed[-1]
    if last < first:
        raise BadCron(f"{term!r}: the range of the {field} ends before it starts")
    if last == first and high is not None and match["step"] is not None:
        raise BadCron(f"{term!r} is read differently by every cron; write {first}")
    return range(first, last + 1, step)


def _value_of(word: str, term: str, field: str, allowed: range, words: dict[str, int]) -> int:
    if word in words:
        return words[word]
    if not word.isdecimal() or len(word) > 4 or int(word) not in allowed:
        raise BadCron(f"{term!r}: a {field} is from {allowed.start} to {allowed.stop - 1}")
    return int(word)
