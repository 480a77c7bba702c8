"""Headers read our way are the headers that nats-py reads."""

from __future__ import annotations

from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from libs.common.bus.nats_client import QuickClient

NAMES = st.text(ascii_letters + digits + "-_ \té", min_size=1, max_size=20)
VALUES = st.text(st.characters(exclude_characters="\r\n"), max_size=40)
LINES = st.builds("{}{}{}".format, NAMES, st.sampled_from([":", ": ", ":\t", ""]), VALUES)


@given(st.lists(LINES | st.just(""), max_size=6))
def test_any_headers_are_read_as_the_library_reads_them(lines: list[str]) -> None:
    raw = b"\r\n".join(line.encode() for line in lines)
    assert QuickClient._parse_header_lines(raw) == Client._parse_header_lines(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"A:1\r\nA:2",
        b"A: \xff\xfe",
        b"\xff: 1\r\nB: 2",
        b"no colon\r\nB: 2",
        b"A b: 1\r\nB: 2",
    ],
)
def test_odd_headers_are_read_as_the_library_reads_them(raw: bytes) -> None:
    assert QuickClient._parse_header_lines(raw) == Client._parse_header_lines(raw)


async def test_the_library_reads_headers_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = staticmethod(lambda raw: {"read by": "us"})
    monkeypatch.setattr(QuickClient, "_parse_header_lines", reading)
    found = await QuickClient()._process_headers(b"NATS/1.0\r\nA: 1\r\n\r\n")
    assert found == {"read by": "us"}
