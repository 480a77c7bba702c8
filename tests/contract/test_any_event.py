"""Whatever an event says, the log gives it back; whatever the log gives is an event or refused."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from libs.common.events import registry
from libs.common.events.base import BadEvent, Envelope, Event, decode, encode
from tests.any_model import BROKEN_TEXT, MOMENTS, any_json, any_of, changed
from tests.effort import examples

ASYNCAPI = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
GOLDEN = Path(__file__).parent / "golden"
MODELS = [pytest.param(model, id=model.type) for model in registry.ALL]
NAMES = st.sampled_from([model.type for model in registry.ALL])
ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@cache
def document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(ASYNCAPI.read_text())
    return read


@cache
def validator(model: type[Event]) -> Draft202012Validator:
    payload = document()["components"]["messages"][model.__name__]["payload"]
    return Draft202012Validator({**payload, "components": document()["components"]})


def body_of(event: Event, time: datetime) -> bytes:
    return encode(event, event_id=ID, source="dormice/test", time=time)


@pytest.mark.parametrize("model", MODELS)
@examples(12)
@given(data=st.data(), time=MOMENTS)
def test_any_event_survives_the_log(
    model: type[Event], data: st.DataObject, time: datetime
) -> None:
    """Decoded it is equal, encoded again it is the same bytes, and the document describes it."""
    event = data.draw(any_of(model))
    body = body_of(event, time)
    envelope = decode(body)
    assert envelope == Envelope(ID, "dormice/test", time, event)
    assert body_of(envelope.event, envelope.time) == body
    validator(model).validate(json.loads(body))


@pytest.mark.parametrize("model", MODELS)
@examples(5)
@given(data=st.data())
def test_an_older_body_lacks_what_has_a_default(model: type[Event], data: st.DataObject) -> None:
    body = json.loads((GOLDEN / f"{model.type}.json").read_text())
    younger = [name for name, field in model.model_fields.items() if not field.is_required()]
    for name in data.draw(st.sets(st.sampled_from(younger or ["none"]))):
        body["data"].pop(name, None)
    envelope = decode(json.dumps(body).encode())
    assert envelope is not None
    assert type(envelope.event) is model


@examples(150)
@given(data=st.data(), name=NAMES)
def test_a_damaged_event_is_an_event_or_refused(data: st.DataObject, name: str) -> None:
    """Nothing but BadEvent ever comes of it: the loop puts that aside and goes on."""
    body = json.loads((GOLDEN / f"{name}.json").read_text())
    values = any_json(BROKEN_TEXT)
    damaged = data.draw(
        changed(body, values)
        | changed(body["data"], values).map(lambda told: {**body, "data": told})
    )
    taken = outcome(json.dumps(damaged).encode())
    if isinstance(taken, Envelope):
        assert isinstance(outcome(body_of(taken.event, taken.time)), Envelope)


@examples(200)
@given(
    st.binary(max_size=200) | any_json(BROKEN_TEXT).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_an_event_or_refused(data: bytes) -> None:
    outcome(data)


def outcome(data: bytes) -> Envelope | None:
    """Return the event, None if it is unknown or refused; raise all else."""
    try:
        return decode(data)
    except BadEvent as refused:
        _check_message(refused.message)
        return None


def _check_message(message: str) -> None:
    """It stands in a log line."""
    assert "\n" not in message
    assert len(message) <= 500
