"""What goes past the HTTP parser: a whole dial of an agent, nothing else."""

from __future__ import annotations

import pytest

from services.gateway.door import in_lower_case, is_dial

HEAD = b"GET /agent/v1 HTTP/1.1\r\nHost: x\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        pytest.param(HEAD + UPGRADE + b"\r\n", True, id="a dial"),
        pytest.param(HEAD + UPGRADE.upper() + b"\r\n", True, id="written otherwise"),
        pytest.param(HEAD + UPGRADE, False, id="its end is still to come"),
        pytest.param(HEAD + UPGRADE + b"\r\n\x81\x00", False, id="with a frame behind it"),
        pytest.param(HEAD + b"\r\n" + HEAD + UPGRADE + b"\r\n", False, id="two requests"),
        pytest.param(HEAD + b"\r\n", False, id="no upgrade"),
        pytest.param(b"POST /enroll HTTP/1.1\r\n" + UPGRADE + b"\r\n", False, id="another path"),
        pytest.param(b"", False, id="nothing"),
    ],
)
def test_is_dial(data: bytes, verdict: bool) -> None:
    assert is_dial(data) is verdict


def test_only_names_are_written_in_lower_case() -> None:
    data = HEAD + b"Authorization: Bearer A:B\r\n\r\n"
    expected = b"GET /agent/v1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer A:B\r\n\r\n"
    assert in_lower_case(data) == expected
