"""The presence strip: a host's last days as shapes of an SVG. Pure geometry.

A row shows one bar per day, as high as the share of it that the host was online. A host's own page
shows every interval, hour by hour. What nobody observed is hatched and counts against nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.ui.views import Mark, Strip, TimelineInterval

DAYS = 14
ROW_STEP, ROW_BAR, ROW_HEIGHT = 9, 7, 18
FULL = ROW_HEIGHT - 2
DAY_WIDTH, BAND_TOP, BAND_HEIGHT = 60, 18, 30
STATES = ("online", "offline", "not_observed", "never_seen")
ZERO = timedelta()


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a strip in its zone: how long each state held, and what happened."""

    day: date
    shares: dict[str, float]
    """State → share of the whole day, 0 to 1; the rest has not come yet."""
    marks: tuple[Mark, ...]

    @property
    def known(self) -> float:
        return self.shares["online"] + self.shares["offline"]

    def said(self, state: str) -> str:
        """`41 %` of the time of this day that has been since the host first connected."""
        seen = self.known + self.shares["not_observed"]
        return f"{100 * self.shares[state] / seen:.0f} %" if seen else "–"


def window_start(now: datetime, where: ZoneInfo, days: int = DAYS) -> datetime:
    """Return the midnight with which the first day begins; today is the last day."""
    first = now.astimezone(where).date() - timedelta(days=days - 1)
    return datetime.combine(first, time(), where).astimezone(now.tzinfo)


def days_of(strip: Strip, now: datetime, where: ZoneInfo, days: int = DAYS) -> list[Day]:
    """Return the days of a strip, oldest first."""
    first = window_start(now, where, days).astimezone(where).date()
    return [_day(strip, first + timedelta(days=index), now, where) for index in range(days)]


def _day(strip: Strip, day: date, now: datetime, where: ZoneInfo) -> Day:
    start = datetime.combine(day, time(), where).astimezone(now.tzinfo)
    end = datetime.combine(day + timedelta(days=1), time(), where).astimezone(now.tzinfo)
    spans = dict.fromkeys(STATES, ZERO)
    for interval in strip.intervals:
        shared = min(interval.end or now, end, now) - max(interval.start, start)
        spans[interval.state] += max(shared, ZERO)
    length = end - start
    marks = tuple(mark for mark in strip.marks if start <= mark.at < end)
    return Day(day, {state: spans[state] / length for state in STATES}, marks)


@dataclass(frozen=True, slots=True)
class RowStrip:
    """SVG paths of a row's strip, empty where there is nothing of the kind; and it in words."""

    online: str
    away: str
    hatched: str
    nothing: str
    failed: str
    label: str
    width: int = DAYS * ROW_STEP - (ROW_STEP - ROW_BAR)
    height: int = ROW_HEIGHT


def row_strip(strip: Strip, now: datetime, where: ZoneInfo, *, away_word: str) -> RowStrip:
    """Return a row's strip. `away_word`: asleep or offline, as the host is expected."""
    paths: dict[str, list[str]] = {
        "online": [], "away": [], "hatched": [], "nothing": [], "failed": []
    }  # fmt: skip
    days = days_of(strip, now, where)
    for index, day in enumerate(days):
        x = index * ROW_STEP
        if day.shares["not_observed"] > day.known:
            paths["hatched"].append(_bar(x, ROW_HEIGHT))
        elif day.known == 0:
            paths["nothing"].append(_bar(x, 1))
        else:
            paths["away"].append(_bar(x, FULL))
            paths["online"].append(_bar(x, _height(day)))
        if any(mark.kind == "failed" for mark in day.marks):
            paths["failed"].append(f"M{x + 2} 2l3 3m0-3l-3 3")
    online, away, hatched, nothing, failed = ("".join(parts) for parts in paths.values())
    label = f"{DAYS} days: {in_words(days, away_word)}"
    return RowStrip(online, away, hatched, nothing, failed, label)


def _height(day: Day) -> int:
    """As high as the share online; a little of the other is never rounded away."""
    height = round(FULL * day.shares["online"] / day.known)
    least = 1 if day.shares["online"] else 0
    most = FULL - 3 if day.shares["offline"] else FULL
    return min(max(height, least), most)


def _bar(x: int, height: int) -> str:
    return f"M{x} {ROW_HEIGHT}h{ROW_BAR}v-{height}h-{ROW_BAR}z" if height else ""


def in_words(days: list[Day], away_word: str) -> str:
    """`online 41 %, asleep 58 %, not observed 1 %`, of the time that the host is known."""
    total = {state: sum(day.shares[state] for day in days) for state in STATES}
    seen = total["online"] + total["offline"] + total["not_observed"]
    if not seen:
        return "never connected"
    names = {"online": "online", "offline": away_word, "not_observed": "not observed"}
    return ", ".join(
        f"{name} {100 * total[state] / seen:.0f} %" for state, name in names.items() if total[state]
    )


# --- The host's own page --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle of the wide strip."""

    x: float
    width: float
    state: str


@dataclass(frozen=True, slots=True)
class Pin:
    """A mark above the wide strip."""

    x: float
    kind: str


@dataclass(frozen=True, slots=True)
class Column:
    """A day of the wide strip; `text` is what a reader hears on it."""

    x: int
    name: str
    text: str
    day: Day


@dataclass(frozen=True, slots=True)
class WideStrip:
    pieces: tuple[Piece, ...]
    pins: tuple[Pin, ...]
    columns: tuple[Column, ...]
    label: str
    has_unknown: bool
    """Some of it is from before the host first connected."""
    width: int = DAYS * DAY_WIDTH
    height: int = BAND_TOP + BAND_HEIGHT + 16
    top: int = BAND_TOP
    band: int = BAND_HEIGHT


def wide_strip(strip: Strip, now: datetime, where: ZoneInfo, *, away_word: str) -> WideStrip:
    """Return the strip of a host's own page."""
    start = window_start(now, where)
    days = days_of(strip, now, where)
    scale = DAY_WIDTH / timedelta(days=1).total_seconds()

    def x_of(moment: datetime) -> float:
        return round((max(moment, start) - start).total_seconds() * scale, 1)

    columns = tuple(
        Column(index * DAY_WIDTH, f"{day.day:%a} {day.day.day}", day_words(day, away_word), day)
        for index, day in enumerate(days)
    )
    pieces = tuple(_pieces(strip.intervals, x_of, now))
    return WideStrip(
        pieces=pieces,
        pins=tuple(Pin(x_of(mark.at), mark.kind) for mark in strip.marks if mark.at >= start),
        columns=columns, label=in_words(days, away_word),
        has_unknown=any(piece.state == "never_seen" for piece in pieces),
    )  # fmt: skip


def _pieces(
    intervals: tuple[TimelineInterval, ...], x_of: Callable[[datetime], float], now: datetime
) -> list[Piece]:
    found = []
    for interval in intervals:
        left, right = x_of(interval.start), x_of(interval.end or now)
        if right > left:
            found.append(Piece(left, round(max(right - left, 0.6), 1), interval.state))
    return found


_MARK_WORDS = {"backup": "backup", "failed": "failed backup", "alert": "alert"}


def day_words(day: Day, away_word: str) -> str:
    """`Mon 16 Nov: online 41 %, asleep 59 %; 1 backup`."""
    name = f"{day.day:%a} {day.day.day} {day.day:%b}"
    kinds = [mark.kind for mark in day.marks]
    counted = [
        f"{kinds.count(kind)} {word}{'s' if kinds.count(kind) > 1 else ''}"
        for kind, word in _MARK_WORDS.items()
        if kind in kinds
    ]
    said = in_words([day], away_word)
    said = "not yet connected" if said == "never connected" else said
    return f"{name}: {'; '.join([said, *counted])}"
