"""A short rest between small steps, so that the next one finds more to do.

A step has a price of its own: a hop, a transaction, a commit. When events come one by one but
without a pause, as in a storm of reconnects, that price would be most of the work. So after a small
step a service for which nobody waits (`Machine.unhurried`) rests twice as long as the step took: a
few milliseconds on an idle machine, more on a busy one. The first step after a silence never waits.

While many effects run, their outcomes come one by one without a pause: a service that asks for it
(`Machine.rests_above`) rests then, and only then.
"""

from __future__ import annotations

from libs.common.loop.machine import Machine

SMALL_STEP = 100
TIMES = 2.0
LONGEST_REST_SECONDS = 0.05


def may_rest(machine: Machine, effects: int) -> bool:
    """Say whether a machine of which so many effects run may rest after a small step."""
    return machine.unhurried or effects > machine.rests_above


def rest_seconds(size: int, took_seconds: float) -> float:
    """Return how long to rest after a step of `size` messages and inputs; 0 is no step."""
    if not 0 < size < SMALL_STEP:
        return 0.0
    return min(TIMES * took_seconds, LONGEST_REST_SECONDS)
