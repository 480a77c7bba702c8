"""The list of alerts says who is told of none, and which to take first."""

from __future__ import annotations

from typing import Any

import pytest

from cli.alerts import _next_step, _summary, _whose
from cli.words import alert_state


def alert(name: str, **fields: Any) -> dict[str, Any]:
    given = {
        "id": name, "host_id": "h1", "host_name": "web-3", "state": "open", "severity": "warning",
        "silenced": False, "held_by": None, "dedup_key": "",
    }  # fmt: skip
    return given | fields


HELD = alert("held", held_by="o1")
SILENCED = alert("quiet", silenced=True, held_by="o1")
LOUD = alert("loud")
WORST = alert("worst", severity="critical", host_id=None, host_name="fleet", dedup_key="site:x")


@pytest.mark.parametrize(("one", "said"), [
    (LOUD, "open"), (HELD, "held"), (SILENCED, "silenced"),
    (alert("a", state="acknowledged", held_by="o1"), "acknowledged"),
    (alert("a", state="resolved", silenced=True), "resolved"),
])  # fmt: skip
def test_what_state_is_shown(one: dict[str, Any], said: str) -> None:
    assert alert_state(one).endswith(said)


@pytest.mark.parametrize(("rows", "said"), [
    ([HELD, LOUD, WORST], "worst"), ([SILENCED, HELD, LOUD], "loud"), ([SILENCED, HELD], "held"),
    ([SILENCED], None), ([], None),
])  # fmt: skip
def test_which_to_take_first(rows: list[dict[str, Any]], said: str | None) -> None:
    assert _next_step(rows) == (f"dormice alert ack {said}" if said else "")


def test_the_sum() -> None:
    assert _summary([LOUD, HELD, SILENCED]) == (
        "3 alerts: 3 open, 1 silenced, 2 held, 0 acknowledged"
    )
    assert _summary([LOUD]) == "1 alert: 1 open, 0 acknowledged"


def test_whose_it_is() -> None:
    assert [_whose(one) for one in (LOUD, WORST, WORST | {"dedup_key": ""})] == [
        "web-3", "site:x", "fleet"
    ]  # fmt: skip
