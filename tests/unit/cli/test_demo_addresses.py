"""Where the demonstration listens: where its operator says, else where it can."""

from __future__ import annotations

import pytest

from cli.demo.world import listen_address, url_of


@pytest.mark.parametrize("said", ["127.0.0.1:18999", "0.0.0.0:18999"])
def test_it_listens_where_its_operator_says(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("DORMICE_UI_LISTEN", said)
    assert listen_address("DORMICE_UI_LISTEN", 8480) == said


@pytest.mark.parametrize("said", ["", "127.0.0.1:0"])
def test_else_on_a_free_port(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("DORMICE_UI_LISTEN", said)
    host, _, port = listen_address("DORMICE_UI_LISTEN", 8480).rpartition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0


@pytest.mark.parametrize(("listen", "url"), [
    ("127.0.0.1:9000", "http://127.0.0.1:9000"),
    ("0.0.0.0:9000", "http://127.0.0.1:9000"),
    ("[::1]:9000", "http://[::1]:9000"),
])  # fmt: skip
def test_it_is_reached_from_this_machine(listen: str, url: str) -> None:
    assert url_of(listen) == url
