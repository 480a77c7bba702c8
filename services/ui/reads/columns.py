"""From SQLite's columns to Python values."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from libs.common.clock import from_micros


def moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def from_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def to_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=str)
