"""Python's garbage collector, set for a process that holds many small objects for a long time.

With the defaults a storm of ten thousand connections spends a fifth of its time on looking through
the ones that are there already.
"""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 20_000
YOUNG_ROUNDS = 20
MIDDLE_ROUNDS = 50


def collect_seldom() -> None:
    """Look for cycles after 20,000 new objects instead of 700; never again at what is there now."""
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, MIDDLE_ROUNDS)
    gc.collect()
    gc.freeze()
