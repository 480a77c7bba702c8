"""Any bytes against the decoders of frames: a frame, nothing, or a refusal that can be told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.errors import DormiceError
from libs.common.frames import decode_agent_frame, decode_gateway_frame, encode_frame
from libs.common.protocol import AgentFrame, BadFrame, Frame, GatewayFrame, Hello, NoCommonProtocol
from tests.any_model import BROKEN_TEXT, any_json, any_of, changed
from tests.effort import examples

Decode = Callable[[str | bytes], Frame | None]
MAX_REASON_BYTES = 123  # RFC 6455: a control frame has 125 bytes, two of them for the code.
MODELS = [*get_args(AgentFrame), *get_args(GatewayFrame)]
FRAMES = st.sampled_from(MODELS).flatmap(any_of).map(
    lambda frame: frame.model_copy(update={"protocol": 1}) if isinstance(frame, Hello) else frame
)  # fmt: skip
DOCUMENTS = FRAMES.map(lambda frame: json.loads(encode_frame(frame)))
TEXTS = DOCUMENTS.map(json.dumps)
SMALL_JSON = any_json(BROKEN_TEXT)


def check(data: str | bytes) -> None:
    """Decode as either side does; what comes of it can be written, and read again."""
    for decode in (decode_agent_frame, decode_gateway_frame):
        taken = outcome(decode, data)
        if isinstance(taken, Frame):
            assert isinstance(outcome(decode, encode_frame(taken)), type(taken))
        elif taken is not None:
            assert 0 < len(taken.message.encode()) <= MAX_REASON_BYTES


def outcome(decode: Decode, data: str | bytes) -> Frame | DormiceError | None:
    """Return the frame, None for a type that we do not know, or the refusal; raise all else."""
    try:
        return decode(data)
    except (BadFrame, NoCommonProtocol) as refused:
        return refused


@examples(300)
@given(st.binary(max_size=300))
@example(b"\xff\xfe{\x00}\x00")
@example(b'{"type": "job_log", "job_id": "j", "offset": 0, "text": "\xed\xa0\x80"}')
@example(b'{"type": "job_log", "job_id": "j", "offset": 0, "text": "\\ud800"}')
@example(b'{"type": "job_finished", "seq": 1e400, "job_id": "\\udfff", "stats": {"\\ud800": 1}}')
@example(b"[" * 100_000)
@example(b'{"type":' * 50_000)
def test_any_bytes(data: bytes) -> None:
    check(data)


@examples(200)
@given(st.text(st.characters(), max_size=200) | SMALL_JSON.map(json.dumps))
def test_any_text_and_any_json(text: str) -> None:
    check(text)


@examples(250)
@given(DOCUMENTS.flatmap(lambda frame: changed(frame, SMALL_JSON)))
def test_a_frame_with_one_wrong_field(frame: dict[str, Any]) -> None:
    check(json.dumps(frame))
    check(json.dumps(frame, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@examples(150)
@given(TEXTS.map(str.encode), st.data())
def test_a_frame_with_damaged_bytes(text: bytes, data: st.DataObject) -> None:
    """Some bytes are replaced: by nothing, by others, or by the frame itself once more."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 40, len(text))))
    instead = data.draw(st.binary(max_size=10) | st.just(text))
    check(text[:start] + instead + text[end:])


ODD_NUMBERS = st.sampled_from(
    ["1e400", "-1e400", "1e-400", "-0", "9" * 400, "9" * 5000, "0.1e1", "NaN", "Infinity", "1E2",
     str(2**53), str(2**63), str(-(2**63)), "1.0000000000000001"]
)  # fmt: skip


@examples(150)
@given(DOCUMENTS, ODD_NUMBERS, st.data())
def test_a_frame_with_an_odd_number(
    frame: dict[str, Any], number: str, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(frame)))
    check(json.dumps(frame | {name: "MARK"}).replace('"MARK"', number))
