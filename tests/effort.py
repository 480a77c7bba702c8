"""How long properties are tried: briefly and always alike, or long and at random.

`make test` and CI try the same examples every time, so that a change is red for its own reasons.
`make fuzz` sets DORMICE_FUZZ to how many times as many examples are tried, from random seeds; what
is found is kept in `.hypothesis` and tried again first.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

TIMES_AS_MANY = int(os.environ.get("DORMICE_FUZZ", "0"))
SHORT, LONG = "short", "long"
SLOW_MACHINE = [HealthCheck.too_slow]  # A loaded machine is no fault of a strategy.

settings.register_profile(
    SHORT, derandomize=True, database=None, deadline=None, suppress_health_check=SLOW_MACHINE
)
settings.register_profile(
    LONG, deadline=None, print_blob=True, suppress_health_check=SLOW_MACHINE,
    max_examples=100 * max(TIMES_AS_MANY, 1),
)  # fmt: skip


def load_profile() -> None:
    """Choose the profile; called once, before any test is imported."""
    settings.load_profile(LONG if TIMES_AS_MANY else SHORT)


def examples(count: int) -> settings:
    """Return the settings that try `count` examples, or many times as many."""
    return settings(max_examples=count * max(TIMES_AS_MANY, 1))


def stateful_phases() -> list[Phase]:
    """Return what is done with a story that goes wrong: briefly, it is told as it was found.

    A story made shorter is played again and again, each time until what is missing did not come.
    """
    return list(Phase) if TIMES_AS_MANY else [Phase.explicit, Phase.generate]
