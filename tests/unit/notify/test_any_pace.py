"""Whatever happens when on a channel with quiet hours and a rate: in the end it knows how it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.alert import Alert, Severity
from services.notify.policy_pace import QuietHours, quiet_until
from tests.effort import examples
from tests.unit.notify.world import BUSY, OK, World, acknowledged, make_alert, raised, resolved

MINUTE = timedelta(minutes=1)
QUIET = {"from": "12:00", "to": "15:30", "timezone": "Europe/Berlin"}
RATE = {"messages": 2, "minutes": 20}
ALERTS = [
    make_alert(f"a{n}", f"h{n}", severity=Severity.CRITICAL if n % 3 == 0 else Severity.WARNING)
    for n in range(9)
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["raise", "raise", "acknowledge", "resolve", "wait", "restart", "busy"]),
        st.integers(0, len(ALERTS) - 1),
        st.sampled_from([1, 2, 5, 19, 20, 60, 240]),
    ),
    min_size=12,
    max_size=40,
)


class Life:
    """What was said of the alerts, and what the one channel was told."""

    def __init__(self, quiet: dict[str, Any] | None, rate: dict[str, int] | None) -> None:
        self.world = World()
        self.channel = self.world.channel(quiet_hours=quiet, rate_limit=rate)
        self.states: dict[str, str] = {}
        self.told: list[tuple[datetime, dict[str, Any]]] = []
        self._seen: set[str] = set()

    def step(self, what: str, number: int, minutes: int) -> None:
        alert = ALERTS[number]
        state = self.states.get(alert.id)
        if what == "raise" and state is None:
            self._say(alert, "open", raised(alert))
        elif what == "acknowledge" and state == "open":
            self._say(alert, "acknowledged", [acknowledged(alert)])
        elif what == "resolve" and state in ("open", "acknowledged"):
            self._say(alert, "resolved", [resolved(alert, self.world.now)])
        elif what == "restart":
            self.world.restart("notify")
        elif what == "wait":
            self.wait(minutes)
        self.deliver(BUSY if what == "busy" else OK)

    def _say(self, alert: Alert, state: str, events: list[Any]) -> None:
        self.states[alert.id] = state
        self.world.publish(*events)

    def wait(self, minutes: int) -> None:
        for _ in range(minutes):
            self.world.advance(MINUTE)
            self.deliver(OK)

    def deliver(self, outcome: dict[str, Any]) -> None:
        """End every try, noting each message when it first goes out."""
        for effect in list(self.world.handed_out):
            if effect.key not in self._seen:
                self._seen.add(effect.key)
                self.told.append((self.world.now, self.world.message(effect)))
        while self.world.handed_out:
            self.world.answer(outcome)
            if outcome is OK:
                self.deliver(outcome)

    @property
    def known(self) -> dict[str, str]:
        """Return the alerts' states as the channel was told of them last."""
        views = [view for _, body in self.told for view in body["alerts"]]
        return {view["id"]: view["state"] for view in views}


@examples(60)
@given(STEPS, st.sampled_from([None, QUIET]), st.sampled_from([None, RATE]))
def test_in_the_end_it_knows_how_every_alert_is(
    steps: list[tuple[str, int, int]], quiet: dict[str, Any] | None, rate: dict[str, int] | None
) -> None:
    life = Life(quiet, rate)
    for step in steps:
        life.step(*step)
    life.wait(300)
    assert life.known == life.states
    assert life.world.db.execute("SELECT count(*) FROM held").fetchone() == (0,)
    firsts = [body["alerts"][0]["id"] for _, body in life.told if body["event"] == "raised"]
    assert len(firsts) == len(set(firsts))


@examples(60)
@given(STEPS)
def test_it_is_never_told_more_than_it_may_be(steps: list[tuple[str, int, int]]) -> None:
    life = Life(QUIET, RATE)
    for step in steps:
        life.step(*step)
    hours = QuietHours.model_validate(QUIET)
    queued = sorted(row["created_at"] for row in life.world.deliveries(life.channel))
    window = timedelta(minutes=RATE["minutes"])
    for first, beyond in zip(queued, queued[RATE["messages"] :], strict=False):
        assert beyond - first >= window
    for row in life.world.deliveries(life.channel):
        body = next(body for _, body in life.told if body["id"] == row["id"])
        if quiet_until(hours, row["created_at"]) is not None:
            assert {view["severity"] for view in body["alerts"]} == {"critical"}
