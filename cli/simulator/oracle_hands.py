"""The oracle's opinion on what operators do with alerts: of two at once one succeeds, and it stays.

Who acknowledged an alert is not forgotten, and nobody acknowledges it, or resolves it, again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cli.simulator.asking import Asking
from libs.common.errors import Conflict, DormiceError, Unavailable

MOST_TOLD = 1


@dataclass(slots=True)
class Handled:
    """What came of asking for the same about an alert, several times at once."""

    verb: str
    alert_id: str
    asked: int
    taken: int = 0
    refused: list[DormiceError] = field(default_factory=list)

    def note(self, answer: Any) -> None:
        if isinstance(answer, DormiceError):
            self.refused.append(answer)
        else:
            self.taken += 1


class HandOracle(Asking):
    """Of those who acknowledge or resolve at once, one is answered so and the others refused."""

    def judge(self) -> None:
        for handled in self._world.truth.handled:
            self._judge(handled)
        told = self._all("notify", "SELECT alert_ids, count(*) FROM delivery WHERE news = "
                         "'acknowledged' GROUP BY alert_ids HAVING count(*) > 1")  # fmt: skip
        self._expect(not told, f"acknowledged is told again: {told}")

    def _judge(self, handled: Handled) -> None:
        what = f"{handled.verb} of {handled.alert_id}"
        self._wants(f"one {handled.verb}s")
        self._expect(handled.taken <= 1, f"{what}: {handled.taken} did so")
        refused = handled.refused
        self._expect(handled.taken + len(refused) == handled.asked, f"{what}: not answered")
        strange = [one for one in refused if not isinstance(one, (Conflict, Unavailable))]
        self._expect(not strange, f"{what}: {strange}")
        if handled.taken and handled.verb == "acknowledge":
            row = self._one("alerting", "SELECT state, body FROM alert WHERE alert_id = ?",
                            handled.alert_id)  # fmt: skip
            self._expect(row is not None and row[0] != "open" and '"ada"' in row[1],
                         f"R18: {what} is forgotten")  # fmt: skip
