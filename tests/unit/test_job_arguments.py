"""What may be asked of a job beside its kind: one clear error for what may not."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.errors import BadInput
from libs.common.job_arguments import RestoreArguments, arguments_of, check_arguments

RESTORE = {"snapshot": "latest", "target": "/tmp/back"}  # only a text here


@pytest.mark.parametrize(
    ("kind", "given", "stored"),
    [
        pytest.param("prune", None, None, id="none for who takes none"),
        pytest.param("prune", {}, None, id="empty for who takes none"),
        pytest.param("snapshots", None, {"all_hosts": False}, id="a default"),
        pytest.param("snapshots", {"all_hosts": True}, {"all_hosts": True}, id="given"),
        pytest.param("restore", RESTORE, RESTORE | {"paths": []}, id="all of the latest"),
        pytest.param(
            "restore",
            {"snapshot": "1a2b3c4d", "target": "C:\\back", "paths": ["/a\nb"]},
            {"snapshot": "1a2b3c4d", "target": "C:\\back", "paths": ["/a\nb"]},
            id="a name with a newline is a name",
        ),
    ],
)
def test_what_is_stored(kind: str, given: Any, stored: Any) -> None:
    assert check_arguments(kind, given) == stored


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("prune", {"deep": True}, "prune has no 'deep'; it takes none"),
        ("restore", {"to": "/x"}, "it takes snapshot, target, paths"),
        ("restore", {}, "arguments.snapshot: "),
        ("restore", {"snapshot": "latest"}, "arguments.target: "),
        ("restore", RESTORE | {"snapshot": "../key"}, "arguments.snapshot: must be an id"),
        ("restore", RESTORE | {"snapshot": "--help"}, "arguments.snapshot: must be an id"),
        ("restore", RESTORE | {"snapshot": 7}, "arguments.snapshot: "),
        ("restore", RESTORE | {"target": "back"}, "arguments.target: must be an absolute path"),
        ("restore", RESTORE | {"target": "/a\0b"}, "arguments.target: must be an absolute path"),
        ("restore", RESTORE | {"target": "/" + "a" * 4096}, "arguments.target: must be an abs"),
        ("restore", RESTORE | {"paths": ["/a", "b"]}, "arguments.paths.1: must be an absolute"),
        ("restore", RESTORE | {"paths": ["/a"] * 101}, "arguments.paths: "),
        ("restore", RESTORE | {"paths": "/a"}, "arguments.paths: "),
        ("snapshots", {"all_hosts": "yes"}, "arguments.all_hosts: "),
    ],
)
def test_what_is_refused(kind: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_arguments(kind, given)
    assert said in caught.value.message


def test_an_agent_ignores_what_a_newer_server_adds() -> None:
    read = arguments_of("restore", RESTORE | {"verify": True})
    assert read == RestoreArguments(snapshot="latest", target=RESTORE["target"])
