"""Frames to and from their text. What they mean is in `protocol`."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, TypeGuard, TypeVar, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from libs.common.protocol import (
    PROTOCOL,
    AgentFrame,
    BadFrame,
    Frame,
    GatewayFrame,
    NoCommonProtocol,
)

T = TypeVar("T")

_LATE = ConfigDict(defer_build=True)
"""Each side reads the other's frames only."""

_FROM_AGENT: TypeAdapter[AgentFrame] = TypeAdapter(
    Annotated[AgentFrame, Field(discriminator="type")], config=_LATE
)
_FROM_GATEWAY: TypeAdapter[GatewayFrame] = TypeAdapter(
    Annotated[GatewayFrame, Field(discriminator="type")], config=_LATE
)
_AGENT_TYPES = frozenset(model.model_fields["type"].default for model in get_args(AgentFrame))
_GATEWAY_TYPES = frozenset(model.model_fields["type"].default for model in get_args(GatewayFrame))


def encode_frame(frame: Frame) -> str:
    """Return the frame as JSON text; null only stands where the protocol says that it may."""
    nothing = {name for name in frame.left_out if getattr(frame, name) is None}
    return frame.model_dump_json(exclude=nothing)


def decode_agent_frame(text: str | bytes) -> AgentFrame | None:
    """Return what an agent sent, or None for a type that we do not know (a newer agent's).

    Raises:
        BadFrame: not a JSON object with a known shape; the reason fits a close frame.
        NoCommonProtocol: a hello whose versions do not include ours, whatever else is wrong in it.
    """
    raw = _object_of(text)
    if raw.get("type") == "hello":
        check_protocol(raw)
    if raw["type"] not in _AGENT_TYPES:
        return None
    return _validated(_FROM_AGENT, raw)


def decode_gateway_frame(text: str | bytes) -> GatewayFrame | None:
    """The agent's side of the same. Raises BadFrame."""
    raw = _object_of(text)
    if raw["type"] not in _GATEWAY_TYPES:
        return None
    return _validated(_FROM_GATEWAY, raw)


def check_protocol(raw: dict[str, Any]) -> None:
    """Refuse a hello without a common version before anything else in it is looked at.

    Raises: BadFrame if `protocol` is absent or malformed, NoCommonProtocol if ours is not offered.
    """
    offered = raw.get("protocol")
    if _is_number(offered):
        low = high = offered
    elif isinstance(offered, list) and len(offered) == 2 and all(map(_is_number, offered)):
        low, high = offered
    else:
        raise BadFrame("hello.protocol must be a number or a pair [min, max]")
    if not low <= PROTOCOL <= high:
        raise NoCommonProtocol(f"we speak protocol {PROTOCOL}")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object_of(text: str | bytes) -> dict[str, Any]:
    try:
        text = text.decode() if isinstance(text, bytes) else text
        raw = _whole_characters(text, _JSON.decode(text))
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"not JSON: {type(error).__name__}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise BadFrame("a frame is a JSON object with a text `type`")
    return raw


def _whole_characters(text: str, raw: Any) -> Any:
    """Return what was read with a `?` for each half of a character that it holds.

    JSON can say halves, and agents do where a program's output is no UTF-8; but no event, no file
    and no answer can hold one. A result must not be lost by it.
    """
    if not _HALF.search(text):
        return raw
    return json.loads(json.dumps(raw, ensure_ascii=False).encode(errors="replace"))


def _refuse_constant(name: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(name)


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)
_HALF = re.compile(r"\\u[dD]")


def _validated(adapter: TypeAdapter[T], raw: dict[str, Any]) -> T:
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadFrame(f"{where}: {first['msg']}"[:120]) from None
