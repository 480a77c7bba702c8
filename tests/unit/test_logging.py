"""Logs carry no secret, whoever writes the line."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from libs.common.logging import configure, get_logger
from libs.common.settings import SettingsError

CANARY = "canary-4711"


def test_secrets_are_cut_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    configure(form="json", file=tmp_path / "log")
    log = get_logger("sample")
    log.info("dialled", password=CANARY, agent_token=CANARY, nested={"Authorization": CANARY})
    log.info("opened", url=f"https://user:{CANARY}@host/path", header=f"Bearer {CANARY}")
    logging.getLogger("library").warning("failed %s", f"rest:http://u:{CANARY}@host")
    for text in (capfd.readouterr().err, (tmp_path / "log").read_text()):
        assert CANARY not in text
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["event"] for line in lines][:2] == ["dialled", "opened"]
        assert lines[1]["url"] == "https://user:***@host/path"


def test_plain_lines_for_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    configure(form="console")
    get_logger("sample").info("dialled", token=CANARY, attempt=3)
    text = capfd.readouterr().err
    assert "attempt=3" in text
    assert CANARY not in text


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(SettingsError, match="loud"):
        configure(level="loud")


def test_a_full_disk_costs_the_line_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    """The terminal has it all the same, without a traceback for each."""
    configure(form="json", file=Path("/dev/full"))
    get_logger("gateway").error("store_fault")
    said = capfd.readouterr().err
    assert "store_fault" in said
    assert "Traceback" not in said
