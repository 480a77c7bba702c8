"""Frames as protocol 1 was first released: they must go on to be read, whatever is added to it.

The file beside is never changed but for new lines: it stands for agents and gateways out there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from libs.common.frames import decode_agent_frame, decode_gateway_frame, encode_frame
from libs.common.protocol import PROTOCOL, AgentFrame, Frame, GatewayFrame

GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("frames_v1.json").read_text()
)
READ = {"agent": decode_agent_frame, "gateway": decode_gateway_frame}
MODELS = {"agent": get_args(AgentFrame), "gateway": get_args(GatewayFrame)}
ALL = [
    pytest.param(side, frame, id=f"{side} {number} {frame['type']}")
    for side, frames in GOLDEN.items()
    for number, frame in enumerate(frames)
]


def read(side: str, body: dict[str, Any]) -> Frame:
    frame = READ[side](json.dumps(body))
    assert frame is not None, f"{body['type']} is not known any more"
    return frame


@pytest.mark.parametrize(("side", "body"), ALL)
def test_an_old_frame_is_read_and_says_the_same(side: str, body: dict[str, Any]) -> None:
    frame = read(side, body)
    again = json.loads(encode_frame(frame))
    assert read(side, again) == frame
    meant = TypeAdapter(type(frame)).dump_python(frame, mode="json")
    for name, value in body.items():
        assert meant[name] == value or name == "protocol", f"{name} is lost"


@pytest.mark.parametrize(("side", "body"), ALL)
def test_what_a_newer_side_adds_to_it_is_ignored(side: str, body: dict[str, Any]) -> None:
    grown = json.loads(json.dumps(body))
    grown["of_the_future"] = {"x": [1]}
    for inner in (value for value in grown.values() if isinstance(value, dict)):
        inner.setdefault("of_the_future", 1)
    if body["type"] in ("job_finished", "run"):  # Free-form parts are carried as they are.
        grown |= {key: body[key] for key in ("stats", "arguments") if key in body}
    assert read(side, grown) == read(side, body)


@pytest.mark.parametrize("side", ["agent", "gateway"])
def test_every_frame_has_its_old_form(side: str) -> None:
    known = {model.model_fields["type"].default for model in MODELS[side]}
    assert {frame["type"] for frame in GOLDEN[side]} == known


@pytest.mark.parametrize("side", ["agent", "gateway"])
def test_a_frame_that_nobody_knows_yet_is_none(side: str) -> None:
    assert READ[side]('{"type": "of_the_future", "seq": 1}') is None


def test_we_speak_what_the_golden_hello_offers() -> None:
    assert PROTOCOL == 1, "a new version needs golden frames of its own, and a range [min, max]"
