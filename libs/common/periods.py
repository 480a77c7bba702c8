"""Which of a gateway's periods of listening is the newer one: pure, and the same for all who hear
of gateways. A period has no number: when it began, by the gateway's clock, tells it from others."""

from __future__ import annotations

from datetime import datetime, timedelta

SKEW = timedelta(minutes=1)
"""So far apart are the clocks of machines that are right."""


def is_newer_period(since: datetime, known_since: datetime | None, now: datetime) -> bool:
    """Say whether a gateway that listens since `since` began again after `known_since` (None: it is
    new to us), or whether this is old news of it.

    The later beginning is the newer one. But one that is still to come was dated by a clock that
    was wrong: once that is set right, the next one is earlier, and no less new.
    """
    if known_since is None or since > known_since:
        return True
    return since != known_since and known_since > now + SKEW
