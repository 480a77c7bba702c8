"""How long a queued host will wait: pure. An estimate for people; nothing is decided by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Place:
    """Places in the queue, from 1: of the whole fleet, and among those of the same repository."""

    fleet: int
    repository: int


def estimate_wait(
    place: Place, usual: timedelta | None, *, fleet_cap: int, repository_cap: int
) -> timedelta | None:
    """Return about how long it takes until a host at `place` starts.

    The slots in use come free one after another over the time of one run, so a cap of 20 lets one
    in every twentieth of it. None: nothing is known, or a cap of 0 pauses all.
    """
    if usual is None or fleet_cap == 0 or repository_cap == 0:
        return None
    return usual * max(place.fleet / fleet_cap, place.repository / repository_cap)
