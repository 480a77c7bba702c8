"""Settings: where a value comes from, and how a wrong one is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import SecretStr

from libs.common.settings import DormiceSettings, Duration, SettingsError


class Sample(DormiceSettings):
    offline_after: Duration = timedelta(seconds=90)
    count: int = 3
    password: SecretStr | None = None


class Own(DormiceSettings):
    config_section: ClassVar[str | None] = "own"
    count: int = 3


def test_environment_beats_the_file_and_the_command_line_beats_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "dormice.toml"
    file.write_text('offline_after = "1m"\ncount = 4\nof_another_service = true\n')
    assert Sample.load(file).offline_after == timedelta(minutes=1)
    monkeypatch.setenv("DORMICE_OFFLINE_AFTER", "2m")
    assert Sample.load(file).offline_after == timedelta(minutes=2)
    assert Sample.load(file, offline_after="3m").offline_after == timedelta(minutes=3)
    assert Sample.load(file, count=None).count == 4


def test_a_wrong_value_is_one_line_with_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORMICE_OFFLINE_AFTER", "90")
    with pytest.raises(SettingsError, match=r"^DORMICE_OFFLINE_AFTER: '90' is not a duration"):
        Sample.load()


def test_an_unknown_key_in_an_own_table_is_named(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[own]\ncuont = 4\n")
    with pytest.raises(SettingsError, match="cuont"):
        Own.load(file)


@pytest.mark.parametrize("text", ["count = ", "own = 3", "\x00"])
def test_an_unreadable_file_is_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        Own.load(file)
    assert "\n" not in caught.value.message
    with pytest.raises(SettingsError, match="missing"):
        Own.load(tmp_path / "missing.toml")
