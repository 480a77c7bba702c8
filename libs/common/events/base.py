"""The envelope of every event: CloudEvents 1.0, structured JSON, one pydantic model per type.

The bus guarantees total order and at-least-once. A handler must be idempotent by the domain key
that the event's docstring names: the same fact may come twice, any time later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from libs.common.clock import to_rfc3339
from libs.common.errors import DormiceError

ROOT = "dormice"


class BadEvent(DormiceError):
    """These bytes are no event that we can read."""

    code = "bad_event"


class Event(BaseModel):
    """A fact, past tense. Unknown fields are ignored; a new meaning gets a new type version."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]

    def subject(self) -> str:
        """Return the subject under which the event is stored."""
        raise NotImplementedError(type(self).__name__)

    def about(self) -> str:
        """Return the CloudEvents `subject`: the id of what the event is about."""
        return self.subject().split(".")[2]


class HostEvent(Event):
    """An event about one host. Its type is `dormice.<family>.<name>.v1`."""

    host_id: str

    def subject(self) -> str:
        _, family, name, _ = self.type.split(".")
        return f"{ROOT}.{family}.{self.host_id}.{name}"

    def about(self) -> str:
        return self.host_id


@dataclass(frozen=True, slots=True)
class Envelope:
    """A decoded event with what the envelope says of it. `source` is `dormice/<service>`."""

    id: str
    source: str
    time: datetime
    event: Event


class _Wire(TypedDict):
    specversion: str
    id: str
    source: str
    type: str
    time: AwareDatetime
    data: dict[str, Any]


_WIRE = TypeAdapter(_Wire)  # A quarter faster than a model.
_TYPES: dict[str, type[Event]] = {}


def register(*models: type[Event]) -> None:
    """Make event models known to `decode`."""
    for model in models:
        _TYPES[model.type] = model


def encode(event: Event, *, event_id: str, source: str, time: datetime) -> bytes:
    """Return the event as CloudEvents JSON."""
    # Written out, not built as a dict: this is a tenth of what the loop does for an event.
    return (
        f'{{"specversion":"1.0","id":"{event_id}","source":{quoted(source)},'
        f'"type":"{event.type}","time":"{to_rfc3339(time)}","subject":{quoted(event.about())},'
        f'"datacontenttype":"application/json","data":{event.model_dump_json()}}}'
    ).encode()


@lru_cache(maxsize=1024)
def decode(data: bytes) -> Envelope | None:
    """Return the event, or None if its type is unknown here (a newer service's).

    What it returns is shared: all services of one process have an event decoded once.

    Raises: BadEvent if the bytes are no event or its data does not fit its type.
    """
    try:
        wire = _WIRE.validate_json(data)
        model = _TYPES.get(wire["type"])
        if model is None:
            return None
        return Envelope(
            wire["id"], wire["source"], wire["time"], model.model_validate(wire["data"])
        )
    except ValidationError as error:
        raise BadEvent(str(error).replace("\n", " ")[:500]) from None
