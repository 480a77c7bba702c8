"""Whatever a frame says, it arrives as it was sent, with every field that the protocol lists."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.frames import decode_agent_frame, decode_gateway_frame, encode_frame
from libs.common.protocol import AgentFrame, Frame, GatewayFrame, Hello
from tests.any_model import any_json, any_of
from tests.effort import examples

FROM_AGENTS = [pytest.param(model, id=model.__name__) for model in get_args(AgentFrame)]
FROM_GATEWAYS = [pytest.param(model, id=model.__name__) for model in get_args(GatewayFrame)]


@pytest.mark.parametrize("model", FROM_AGENTS)
@examples(30)
@given(data=st.data())
def test_any_frame_of_an_agent_arrives(model: type[Frame], data: st.DataObject) -> None:
    frame = data.draw(any_of(model))
    if isinstance(frame, Hello):
        frame = frame.model_copy(update={"protocol": data.draw(st.sampled_from([1, (0, 7)]))})
    text = encode_frame(frame)
    assert decode_agent_frame(text) == decode_agent_frame(text.encode()) == frame
    written = json.loads(text)
    assert model.model_fields.keys() - model.left_out <= written.keys()
    assert all(written[name] is not None for name in model.left_out & written.keys())


@pytest.mark.parametrize("model", FROM_GATEWAYS)
@examples(30)
@given(data=st.data())
def test_any_frame_of_a_gateway_arrives(model: type[Frame], data: st.DataObject) -> None:
    frame = data.draw(any_of(model))
    text = encode_frame(frame)
    assert decode_gateway_frame(text) == decode_gateway_frame(text.encode()) == frame


@pytest.mark.parametrize("model", FROM_AGENTS)
@examples(10)
@given(data=st.data(), more=any_json())
def test_what_a_newer_agent_adds_is_ignored(
    model: type[Frame], data: st.DataObject, more: object
) -> None:
    frame = data.draw(any_of(model))
    if isinstance(frame, Hello):
        frame = frame.model_copy(update={"protocol": 1})
    grown = json.loads(encode_frame(frame)) | {"from_the_future": more}
    assert decode_agent_frame(json.dumps(grown)) == frame
