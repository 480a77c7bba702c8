"""Where the command line asks and as whom; the local token goes to the local `up` only."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.client import ClientSettings, find_where, problem_error
from libs.common.errors import BadInput, Unauthorized


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "TOKEN", "UI_LISTEN", "ADMIN_TOKEN", "DATA"):
        monkeypatch.delenv(f"DORMICE_{name}", raising=False)


def settings(data: Path, **given: object) -> ClientSettings:
    return ClientSettings.load(data=data, **given)


def test_beside_an_up_nothing_need_be_said(tmp_path: Path) -> None:
    (tmp_path / "admin-token").write_text("secret\n")
    (tmp_path / "ui.url").write_text("http://127.0.0.1:9999\n")
    where = find_where(settings(tmp_path))
    assert (where.url, where.token) == ("http://127.0.0.1:9999", "secret")


def test_without_ui_url_the_settings_say_where(tmp_path: Path) -> None:
    (tmp_path / "admin-token").write_text("secret\n")
    assert find_where(settings(tmp_path, ui_listen="0.0.0.0:80")).url == "http://127.0.0.1:80"


def test_r20_the_local_token_is_not_sent_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "admin-token").write_text("secret\n")
    with pytest.raises(Unauthorized, match="DORMICE_TOKEN"):
        find_where(settings(tmp_path, url="https://evil.example"))


def test_url_and_token_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DORMICE_URL", "https://fleet.example/api/v1/")
    monkeypatch.setenv("DORMICE_TOKEN", "theirs")
    where = find_where(settings(tmp_path))
    assert (where.url, where.token) == ("https://fleet.example", "theirs")


@pytest.mark.parametrize("url", ["fleet.example", "ftp://fleet.example", "http://"])
def test_what_is_no_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInput, match="http://HOST"):
        find_where(settings(tmp_path, url=url, token="t"))


def test_a_problem_is_one_line() -> None:
    body = {
        "status": 422, "code": "bad_input", "detail": "name:\ntoo long",
        "errors": [{"field": "name", "message": "too long"}, {"field": "tags", "message": "no"}],
    }  # fmt: skip
    error = problem_error(body)
    assert error.message == "name: too long; tags: no"
    assert error.code == "bad_input"
