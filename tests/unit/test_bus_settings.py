"""Where the bus is: a wrong answer is one line with the variable, before anything is tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.common.bus.settings import BusSettings
from libs.common.settings import SettingsError


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DORMICE_NATS_URL", "nowhere"),
        ("DORMICE_NATS_URL", "http://127.0.0.1:4222"),
        ("DORMICE_NATS_URL", "nats://127.0.0.1:x"),
        ("DORMICE_NATS_URL", "nats://a:4222, "),
        ("DORMICE_NATS_MONITOR_URL", "127.0.0.1:8222"),
        ("DORMICE_NATS_CREDS", "missing"),
        ("DORMICE_NATS_CA", "missing"),
        ("DORMICE_NATS_CA", "empty"),
        ("DORMICE_NATS_PASSWORD_FILE", "missing"),
        ("DORMICE_REQUIRE_DURABLE", "perhaps"),
    ],
)
def test_a_wrong_value(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").touch()
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        BusSettings.load()
    assert refused.value.message.startswith(f"{variable}: ")
    assert "\n" not in refused.value.message


def test_a_wrong_address_does_not_tell_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORMICE_NATS_URL", "natz://jobs:hush@127.0.0.1:4222")
    with pytest.raises(SettingsError) as refused:
        BusSettings.load()
    assert "hush" not in refused.value.message


@pytest.mark.parametrize(
    "url", ["nats://127.0.0.1:4222", "tls://bus.example", "nats://a:1,nats://b:2", "nats://[::1]:1"]
)
def test_a_right_address(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORMICE_NATS_URL", url)
    assert BusSettings.load().nats_url == url
