"""What kind of event a message holds, by its subject alone: what nobody asks for is not decoded."""

from __future__ import annotations

import json
import re

from libs.common.bus.base import LogMessage
from libs.common.events import registry

Key = tuple[str, str]
"""Family and name of an event."""

_FAMILIES_BY_FIRST_TOKEN = frozenset({"audit", "dead"})
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def key_of_type(event_type: str) -> Key:
    _, family, name, _ = event_type.split(".")
    return family, name


KNOWN = frozenset(key_of_type(model.type) for model in registry.ALL)


def key_of(subject: str) -> Key:
    """Return what `key_of_type` gives for the type that is stored under `subject`."""
    _, family, *rest = subject.split(".")
    return family, "recorded" if family in _FAMILIES_BY_FIRST_TOKEN else rest[-1]


def id_of(message: LogMessage) -> str:
    """Return the id of an event that cannot be applied, as one token: from the header, else from
    the body if it can be read that far, else its place."""
    try:
        written = message.event_id or json.loads(message.data)["id"]
    except (ValueError, TypeError, KeyError):
        written = ""
    return str(written) if _TOKEN.fullmatch(str(written)) else f"seq-{message.seq}"
