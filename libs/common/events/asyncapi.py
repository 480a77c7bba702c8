"""The AsyncAPI 3 description of everything stored on the bus, generated from the models.

`python -m libs.common.events.asyncapi` prints it as YAML; docs/asyncapi.yaml is that text, and a
test keeps it so.
"""

from __future__ import annotations

import sys
from typing import Any

from libs.common.events import registry
from libs.common.events.base import Event, HostEvent

_PLACES = {"gateway": "{gateway}", "notification": "{channel}", "host": "fleet"}
_EXPORTED = ("alert", "presence")


def document() -> dict[str, Any]:
    """Return the description: one channel and one operation per event type."""
    channels, operations, messages, schemas = {}, {}, {}, {}
    for model in registry.ALL:
        name = model.__name__
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = schema
        channels[name] = _channel(model)
        operations[f"receive{name}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
        }
        messages[name] = _message(model)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Dormice events", "version": "1", "description": _ABOUT},
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


_ABOUT = (
    "Every event is a CloudEvents 1.0 envelope in structured JSON; `data` has the schema of its "
    "type. Delivery is at least once, in one total order. Unknown fields are to be ignored. "
    "Channels marked `x-exported` can be read by the bus user `reader`."
)


def address(model: type[Event]) -> str:
    """Return the subject pattern of an event type."""
    _, family, name, _ = model.type.split(".")
    if family == "audit":
        return "dormice.audit.{service}.{target}"
    if family == "dead":
        return "dormice.dead.{service}.{event}"
    if family == "alert":
        return f"dormice.alert.{{host}}.{{kind}}.{name}"
    place = "{host}" if issubclass(model, HostEvent) else _PLACES[family]
    return f"dormice.{family}.{place}.{name}"


def _channel(model: type[Event]) -> dict[str, Any]:
    pattern = address(model)
    names = [part.strip("{}") for part in pattern.split(".") if part.startswith("{")]
    channel: dict[str, Any] = {
        "address": pattern,
        "messages": {model.__name__: {"$ref": f"#/components/messages/{model.__name__}"}},
        "parameters": {name: {} for name in names},
    }
    if model.type.split(".")[1] in _EXPORTED:
        channel["x-exported"] = True
    return channel


def _message(model: type[Event]) -> dict[str, Any]:
    return {
        "name": model.type,
        "summary": (model.__doc__ or "").strip().split("\n", 1)[0],
        "contentType": "application/cloudevents+json",
        "payload": {
            "type": "object",
            "required": ["specversion", "id", "source", "type", "time", "data"],
            "properties": {
                "specversion": {"const": "1.0"},
                "id": {"type": "string"},
                "source": {"type": "string"},
                "type": {"const": model.type},
                "time": {"type": "string", "format": "date-time"},
                "subject": {"type": "string"},
                "datacontenttype": {"const": "application/json"},
                "traceparent": {"type": "string"},
                "data": {"$ref": f"#/components/schemas/{model.__name__}"},
            },
        },
    }


def as_yaml() -> str:
    """Return the description as the text of docs/asyncapi.yaml."""
    import yaml

    text: str = yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=100)
    return "# Generated: python -m libs.common.events.asyncapi > docs/asyncapi.yaml\n" + text


if __name__ == "__main__":
    sys.stdout.write(as_yaml())
