"""The frames as PROTOCOL lists them: which fields always stand there, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common import protocol
from libs.common.frames import decode_agent_frame, decode_gateway_frame, encode_frame
from libs.common.protocol import BadFrame, Frame, Hello, NoCommonProtocol

AT = datetime(2026, 11, 23, 2, tzinfo=UTC)
HELLO: dict[str, Any] = {
    "type": "hello", "protocol": 1, "agent_version": "1", "hostname": "h", "os": "linux",
    "arch": "amd64", "timezone": "UTC", "boot_id": "b", "config_version": 0, "running": [],
}  # fmt: skip
FINISHED = {"type": "job_finished", "seq": 1, "job_id": "j", "at": "2026-11-23T02:00:00Z",
            "status": "succeeded"}  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "fields"),
    [
        (Hello(**HELLO), {*HELLO, "power", "metered"}),
        (protocol.Heartbeat(), {"type"}),
        (protocol.Goodbye(reason=protocol.GoodbyeReason.SLEEP), {"type", "reason"}),
        (protocol.JobAccepted(job_id="j"), {"type", "job_id"}),
        (protocol.JobStarted(seq=1, job_id="j", at=AT), {"type", "seq", "job_id", "at"}),
        (
            protocol.JobFinished(seq=1, job_id="j", at=AT, status=protocol.RunStatus.SUCCEEDED),
            {"type", "seq", "job_id", "at", "status", "exit_code", "error", "stats"},
        ),
        (
            protocol.JobProgress(job_id="j"),
            {"type", "job_id", "percent", "bytes_done", "bytes_total", "files_done",
             "seconds_left"},
        ),
        (protocol.ConfigApplied(version=1), {"type", "version"}),
        (protocol.Power(), {"type", "on_battery", "percent", "metered"}),
        (
            protocol.Config(version=1),
            {"type", "version", "schedules", "source_groups", "repository", "timezone"},
        ),
        (
            protocol.Run(job_id="j", config_version=1),
            {"type", "job_id", "kind", "schedule_id", "source_group_id", "fire_time",
             "config_version", "attempt"},
        ),
    ],
)  # fmt: skip
def test_a_field_that_may_be_null_stands_there_and_one_that_may_be_absent_does_not(
    frame: Frame, fields: set[str]
) -> None:
    written = json.loads(encode_frame(frame))
    assert written.keys() == fields
    read = decode_gateway_frame if isinstance(frame, protocol.GatewayFrame) else decode_agent_frame
    assert read(encode_frame(frame)) == frame


@pytest.mark.parametrize("offered", [1, 1.0, [1, 1], [0, 7], [0.5, 1.5]])
def test_a_protocol_that_is_ours(offered: Any) -> None:
    assert isinstance(decode_agent_frame(json.dumps(HELLO | {"protocol": offered})), Hello)


@pytest.mark.parametrize("offered", [0, 2, 1.5, -1, [2, 3], [0, 0], [2, 1], [3, 0], 10**30])
def test_a_protocol_that_is_not_ours_whatever_else_is_wrong(offered: Any) -> None:
    with pytest.raises(NoCommonProtocol, match="1"):
        decode_agent_frame(json.dumps({"type": "hello", "protocol": offered, "running": 7}))


@pytest.mark.parametrize(
    "offered", [None, True, "1", "", {}, [], [1], [1, 1, 1], [1, "2"], [1, True]]
)
def test_a_protocol_that_is_neither_a_number_nor_a_pair(offered: Any) -> None:
    with pytest.raises(BadFrame, match="protocol"):
        decode_agent_frame(json.dumps(HELLO | {"protocol": offered}))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(HELLO | {"connection": "7"}, id="a number as text"),
        pytest.param(HELLO | {"connection": True}, id="a number as truth"),
        pytest.param(HELLO | {"connection": -1}, id="below zero"),
        pytest.param(HELLO | {"connection": 2**63}, id="too large for a state file"),
        pytest.param(HELLO | {"config_version": 1.5}, id="a part of a version"),
        pytest.param(FINISHED | {"exit_code": 10**20}, id="an exit code of no system"),
        pytest.param({"type": "power", "percent": 10**400}, id="more than the largest number"),
        pytest.param(FINISHED | {"stats": {"size": float("nan")}}, id="NaN is not JSON"),
        pytest.param(FINISHED | {"stats": {"size": float("-inf")}}, id="nor is Infinity"),
    ],
)
def test_numbers_that_are_none(frame: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        decode_agent_frame(json.dumps(frame))


def test_a_result_with_a_long_message_is_cut_and_not_lost() -> None:
    long = {"error": "first" + "x" * 10_000, "log_tail": "y" * 500_000 + "last"}
    told = decode_agent_frame(json.dumps(FINISHED | long))
    assert isinstance(told, protocol.JobFinished)
    assert told.error is not None
    assert told.log_tail is not None
    assert (told.error[:5], len(told.error)) == ("first", 4096)
    assert (told.log_tail[-4:], len(told.log_tail)) == ("last", protocol.LOG_TAIL_BYTES)


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        pytest.param("error", "caf\ud8e9 \udfff!", "caf? ?!", id="message"),
        pytest.param("stats", {"\ud800": ["\udc80"]}, {"?": ["?"]}, id="statistics"),
        pytest.param("log_tail", "\U0001f400 \\ud800", "\U0001f400 \\ud800", id="whole ones stay"),
    ],
)
def test_a_result_with_half_a_character_is_not_lost(field: str, value: Any, read: Any) -> None:
    """A program's output may be no UTF-8, and JSON can say so; the event must hold it."""
    for text in (
        json.dumps(FINISHED | {field: value}),
        json.dumps(FINISHED | {field: value}).encode(),
    ):
        told = decode_agent_frame(text)
        assert told is not None
        assert getattr(told, field) == read
        assert decode_agent_frame(encode_frame(told)) == told


def test_a_number_beyond_all_is_no_time_to_wait() -> None:
    """JSON can say 1e400, which Python reads as infinity."""
    progress = '{"type": "job_progress", "job_id": "j", "seconds_left": 1e400}'
    with pytest.raises(BadFrame, match="finite"):
        decode_agent_frame(progress)


def test_a_counter_may_be_in_nanoseconds() -> None:
    hello = decode_agent_frame(json.dumps(HELLO | {"connection": 1_800_000_000_000_000_000}))
    assert isinstance(hello, Hello)
    assert hello.connection == 1_800_000_000_000_000_000
