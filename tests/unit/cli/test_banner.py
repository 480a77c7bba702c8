"""The lines that `dormice up` begins with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.banner import print_banner
from libs.common.clock import monotonic_seconds


def say(capsys: pytest.CaptureFixture[str], data: str, nats_url: str | None) -> list[str]:
    server = None if nats_url else SimpleNamespace(url="nats://127.0.0.1:4222")
    up: Any = SimpleNamespace(
        started=monotonic_seconds() - 1.4, server=server,
        settings=SimpleNamespace(data=Path(data)), bus_settings=SimpleNamespace(nats_url=nats_url),
        urls={"ui": "http://127.0.0.1:8480", "gateway": "http://127.0.0.1:8481"},
    )  # fmt: skip
    system: Any = SimpleNamespace(services={"ui": SimpleNamespace(setup_code="K7QF-2M9D")})
    print_banner(up, system)
    return capsys.readouterr().out.splitlines()


def test_one_line_for_each_listener_as_sketched(capsys: pytest.CaptureFixture[str]) -> None:
    first, *listeners = say(capsys, "dormice-data", None)
    assert first.endswith(" · data ./dormice-data · ready in 1.4 s")
    assert listeners == [
        "  web     http://127.0.0.1:8480   first time: open /setup and type K7QF-2M9D"
        " (30 min, once; again: dormice setup-code)",
        "  agents  http://127.0.0.1:8481   add a host: dormice enroll-token, or the page",
        "  bus     nats://127.0.0.1:4222   alerts for other systems: dormice bus-url reader",
    ]


@pytest.mark.parametrize("data", ["/srv/dormice", "../data", "below/data"])
def test_other_directories_as_they_were_said(capsys: pytest.CaptureFixture[str], data: str) -> None:
    assert f" · data {data} · " in say(capsys, data, None)[0]


def test_r20_the_password_of_a_given_bus_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = say(capsys, "x", "nats://me:hush@a:4222,nats://me:hush@b:4222")
    assert "  bus     nats://a:4222,nats://b:4222   " in lines[-1]
