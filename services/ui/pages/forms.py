"""Forms that send a field more than once, and what their texts mean."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from libs.common.durations import parse_duration
from libs.common.errors import BadInput
from services.ui.guards import FORM_TYPES, MAX_FIELDS, BadForm
from services.ui.pages.rendering import PageRequest

Fields = dict[str, list[str]]


async def read_many(request: PageRequest) -> Fields:
    """Return every value of every field; an empty body is an empty form. Raises: BadForm."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORM_TYPES:
        raise BadForm(f"send a form ({FORM_TYPES[0]})")
    if kind == FORM_TYPES[1]:
        form = await request.form()
        return {
            key: [value for value in form.getall(key) if isinstance(value, str)] for key in form
        }
    try:
        text = (await request.body()).decode()
        return parse_qs(
            text, keep_blank_values=True, strict_parsing=bool(text.strip()), errors="strict",
            max_num_fields=MAX_FIELDS,
        )  # fmt: skip
    except ValueError:
        raise BadForm("the form cannot be read") from None


def lines(text: str) -> list[str]:
    """Return the lines of a text area that say something."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def words_of(text: str) -> list[str]:
    """Return tags: parted by commas or spaces."""
    return [word for word in re.split(r"[\s,]+", text) if word]


def seconds_of(text: str) -> int | None:
    """Return a duration in seconds; an empty text is None. Raises: BadInput."""
    if not text.strip():
        return None
    try:
        return int(parse_duration(text).total_seconds())
    except ValueError as error:
        raise BadInput(str(error)) from None


def retention_of(text: str) -> dict[str, int | str] | None:
    """Return `daily=7 within=30d` as a group's retention; nothing is none. Raises: BadForm."""
    found: dict[str, int | str] = {}
    for word in words_of(text):
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            raise BadForm(f"{word[:40]!r} is no rule; write daily=7 or within=30d")
        rule = name.removeprefix("keep-").removeprefix("keep_").replace("-", "_")
        found[f"keep_{rule}"] = int(value) if value.isdecimal() and value.isascii() else value
    return found or None


def environment_of(text: str) -> dict[str, str]:
    """Return lines `NAME=value` as a mapping. Raises: BadForm, which never repeats a value."""
    found = {}
    for number, line in enumerate(lines(text), 1):
        name, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name.strip()):
            raise BadForm(f"line {number} of the environment is not NAME=value")
        found[name.strip()] = value.strip()
    return found
