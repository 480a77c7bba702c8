"""Every event keeps its shape: golden bodies decode, encode back, and fit the AsyncAPI document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from libs.common.bus.topology import is_stored
from libs.common.events import registry
from libs.common.events.asyncapi import address, as_yaml
from libs.common.events.base import BadEvent, Event, decode, encode

GOLDEN = Path(__file__).parent / "golden"
ASYNCAPI = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
MODELS = [pytest.param(model, id=model.type) for model in registry.ALL]


def golden(model: type[Event]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((GOLDEN / f"{model.type}.json").read_text())
    return body


@pytest.mark.parametrize("model", MODELS)
def test_golden_body_decodes_and_encodes_back(model: type[Event]) -> None:
    body = golden(model)
    envelope = decode(json.dumps(body).encode())
    assert envelope is not None
    assert type(envelope.event) is model
    again = encode(envelope.event, event_id=envelope.id, source=envelope.source, time=envelope.time)
    assert json.loads(again) == body


@pytest.mark.parametrize("model", MODELS)
def test_golden_body_fits_the_document(model: type[Event]) -> None:
    document = yaml.safe_load(ASYNCAPI.read_text())
    payload = document["components"]["messages"][model.__name__]["payload"]
    schema = {**payload, "components": document["components"]}
    Draft202012Validator(schema).validate(golden(model))


@pytest.mark.parametrize("model", MODELS)
def test_unknown_fields_are_ignored(model: type[Event]) -> None:
    body = golden(model)
    body["data"]["from_the_future"] = {"x": 1}
    body["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    envelope = decode(json.dumps(body).encode())
    assert envelope is not None
    assert not hasattr(envelope.event, "from_the_future")


@pytest.mark.parametrize("model", MODELS)
def test_subject_is_stored_and_matches_its_channel(model: type[Event]) -> None:
    envelope = decode(json.dumps(golden(model)).encode())
    assert envelope is not None
    subject = envelope.event.subject()
    assert is_stored(subject)
    pattern = address(model).split(".")
    tokens = subject.split(".")
    assert len(tokens) == len(pattern)
    fixed = [(a, b) for a, b in zip(tokens, pattern, strict=True) if not b.startswith("{")]
    assert all(a == b for a, b in fixed)


def test_the_document_is_what_the_models_say() -> None:
    assert ASYNCAPI.read_text() == as_yaml()


def test_every_golden_body_has_a_model() -> None:
    names = {path.stem for path in GOLDEN.glob("*.json")}
    assert names == {model.type for model in registry.ALL}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"type":"dormice.agent.hello.v1"}', b"\xff\xfe"]
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(BadEvent):
        decode(data)


def test_no_event_has_a_field_for_a_secret() -> None:
    telling = ("password", "secret", "token_hash", "agent_token", "repository_url")
    for model in registry.ALL:
        schema = model.model_json_schema()
        for part in (schema, *schema.get("$defs", {}).values()):
            assert not set(part.get("properties", ())) & set(telling), model.type
