"""Keys and variables that nothing reads are told, with the nearest that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import structlog

from cli.known_settings import check_file, known_variables, warn_of_variables
from cli.run import run_service
from cli.up import Up, check_settings
from libs.common.errors import SettingsError

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def written(folder: Path, text: str) -> Path:
    file = folder / "dormice.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(("text", "said"), [
    pytest.param("bogus = 1", "there is no setting 'bogus'", id="near nothing"),
    pytest.param('stale_aftr = "3d"', "'stale_aftr'; did you mean stale_after?", id="alerting's"),
    pytest.param("[agent]\nspol_bytes = 9", "[agent] has no setting 'spol_bytes'; did you mean "
                 "spool_bytes?", id="the agent's"),
    pytest.param("[server]\nlog_level = 'info'", "there is no setting 'server'", id="a table"),
    pytest.param("spool_bytes = 9", "there is no setting 'spool_bytes'", id="outside its table"),
])  # fmt: skip
def test_a_key_that_nothing_reads_stops_every_start(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        Up(tmp_path / "data", file, verbose=False)
    assert caught.value.message.startswith(f"{file}: ")
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    with pytest.raises(SettingsError, match="no setting"):
        run_service("jobs", tmp_path / "data", file, None)
    assert check_settings(tmp_path / "data", file) == [caught.value.message]
    assert not (tmp_path / "data").exists()


def test_a_key_of_any_service_of_a_command_or_of_the_agent_is_known(tmp_path: Path) -> None:
    check_file(written(tmp_path, """
        stale_after = "3d"
        gateway_id = "gw-2"
        nats_url = "nats://127.0.0.1:4222"
        health_listen = ""
        url = "http://127.0.0.1:8480"
        [agent]
        spool_bytes = 4096
    """))  # fmt: skip
    check_file(None)


def test_variables_that_nothing_reads_are_one_warning() -> None:
    environment = {
        "DORMICE_OFLINE_AFTER": "2m", "DORMICE_Q": "hush", "DORMICE_OFFLINE_AFTER": "2m",
        "DORMICE_AGENT_SPOOL_BYTES": "4096", "DORMICE_TRACE": "1", "DORMICE_ENROLL_TOKEN": "x",
        "DORMICE_TOKEN": "x", "DORMICE_HEALTH_LISTEN": "", "DORMICEX": "", "HOME": "/",
    }  # fmt: skip
    with structlog.testing.capture_logs() as lines:
        warn_of_variables(environment)
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("variables_not_known", "warning")
    assert line["variables"] == "DORMICE_OFLINE_AFTER (perhaps DORMICE_OFFLINE_AFTER), DORMICE_Q"
    with structlog.testing.capture_logs() as lines:
        warn_of_variables({"DORMICE_STALE_AFTER": "7d"})
    assert lines == []


def test_whatever_is_documented_is_known() -> None:
    documented = set(re.findall(r"^\| `(DORMICE_\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert len(documented) > 40
    assert documented <= known_variables()
