"""When many went away at once: pure decisions about a mass outage.

an agent_offline is raised ──enough others left with it──▶ fleet_outage open: theirs are held back
fleet_outage ──all back │ few away and no return for 60 s │ 1 h──▶ resolved: the rest is released
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from libs.common.durations import format_duration
from libs.common.events.agent import OfflineReason

WINDOW = timedelta(minutes=2)
AT_LEAST_HOSTS = 5
AT_LEAST_PERCENT = 30
FEW_PERCENT = 10
QUIET_FOR = timedelta(seconds=60)
LONGEST = timedelta(hours=1)
SITE = "site:"
"""A tag that begins so says where a host stands: its hosts may lose their network together."""
NOT_COUNTED = frozenset({OfflineReason.SLEEP, OfflineReason.GATEWAY_LOST})
"""Ends of sessions that say nothing about the network of a site."""


class OutageVerdict(Enum):
    """Whether a host that is missed left together with many others."""

    MASS = "many always-on hosts went offline together"
    NOT_COUNTED = "it said that it goes to sleep, or its gateway was lost"
    TOO_FEW = "fewer than 5 went offline together"
    SMALL_SHARE = "less than 30 % of those that were online"


def assess_outage(reason: OfflineReason | None, gone: int, were_online: int) -> OutageVerdict:
    """Say whether a mass outage explains a missed host.

    `gone`: always-on hosts, itself included, that went offline within 2 min of it, are still away
    and count. `were_online`: always-on hosts that were online at some time in the 2 min before.
    """
    if reason in NOT_COUNTED:
        return OutageVerdict.NOT_COUNTED
    if gone < AT_LEAST_HOSTS:
        return OutageVerdict.TOO_FEW
    if gone * 100 < were_online * AT_LEAST_PERCENT:
        return OutageVerdict.SMALL_SHARE
    return OutageVerdict.MASS


@dataclass(frozen=True, slots=True)
class Departure:
    """Who left together: of the fleet (`site` empty), or of the hosts with one `site:…` tag."""

    site: str
    gone: tuple[str, ...]
    were_online: int
    verdict: OutageVerdict


def choose(found: Sequence[Departure]) -> Departure | None:
    """Return the mass outage that explains a missed host; None: none does.

    The fleet's wins where it is one; else that of the site which lost most hosts, then by its name.
    """
    mass = [one for one in found if one.verdict is OutageVerdict.MASS]
    return min(mass, key=lambda one: (one.site != "", -len(one.gone), one.site), default=None)


class ReleaseVerdict(Enum):
    """Whether a mass outage is over."""

    ALL_BACK = "all hosts are back"
    FEW_AWAY = "fewer than 10 % are away, and none has returned for 60 s"
    TOO_LONG = "it has lasted for an hour"
    GOES_ON = "hosts are away, or still returning"


@dataclass(frozen=True, slots=True)
class Outage:
    """A mass outage: how many hosts it took, how many of them are away."""

    members: int
    away: int
    raised_at: datetime
    last_return_at: datetime | None = None


def assess_release(outage: Outage, now: datetime) -> ReleaseVerdict:
    """Say whether `outage` is over at `now`, and why."""
    if outage.away == 0:
        return ReleaseVerdict.ALL_BACK
    if now - outage.raised_at >= LONGEST:
        return ReleaseVerdict.TOO_LONG
    few = outage.away * 100 < outage.members * FEW_PERCENT
    if few and now - (outage.last_return_at or outage.raised_at) >= QUIET_FOR:
        return ReleaseVerdict.FEW_AWAY
    return ReleaseVerdict.GOES_ON


def next_release_look(outage: Outage, now: datetime) -> datetime:
    """Return when the verdict can change by itself, at the earliest."""
    end = outage.raised_at + LONGEST
    quiet = (outage.last_return_at or outage.raised_at) + QUIET_FOR
    return min(quiet, end) if quiet > now else end


def outage_message(mass: Departure) -> str:
    """`12 of 15 always-on hosts of site:berlin went offline within 2m0s`; of the fleet without."""
    hosts = f"always-on hosts of {mass.site}" if mass.site else "always-on hosts"
    within = format_duration(WINDOW)
    return f"{len(mass.gone)} of {mass.were_online} {hosts} went offline within {within}"
