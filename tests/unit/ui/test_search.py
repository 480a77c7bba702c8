"""The query language: text → terms → text, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.testing.rig import START
from services.ui.search import BadQuery, HostQuery, Term, parse_query, to_sql

GOOD = [
    ("", ()),
    ("web", (Term("", ("web",)),)),
    ("state:asleep,offline", (Term("state", ("asleep", "offline")),)),
    ('tag:"north wing"', (Term("tag", ("north wing",)),)),
    ('"a,b"', (Term("", ("a,b",)),)),
    ("-tag:paris", (Term("tag", ("paris",), True),)),
    ("-web", (Term("", ("web",), True),)),
    ("seen:>7d is:overdue x", (Term("seen", (">7d",)), Term("is", ("overdue",)), Term("", ("x",)))),
    ("State:ASLEEP", (Term("state", ("ASLEEP",)),)),
    ("  mode:24x7   is:intermittent ", (Term("mode", ("24x7",)), Term("is", ("intermittent",)))),
]
BAD = [
    "color:red", "state:away", "state:", "seen:7d", "seen:>", "seen:>x", "is:tired", '"open',
    'tag:"open', "-", "mode:maybe", "tag:,", "a" * 1001, "a " * 51, "x\x00y", '""',
    "seen:>99999999999999d", "seen:>36500d" * 2,
]  # fmt: skip


@pytest.mark.parametrize(("text", "terms"), GOOD)
def test_reading(text: str, terms: tuple[Term, ...]) -> None:
    query = parse_query(text)
    assert query.terms == terms
    assert parse_query(str(query)) == query


@pytest.mark.parametrize("text", BAD)
def test_refusing(text: str) -> None:
    with pytest.raises(BadQuery):
        parse_query(text)


def test_adding_and_taking_away_words() -> None:
    query = parse_query("state:asleep web").with_term("is", "overdue", negated=True)
    assert str(query) == "state:asleep web -is:overdue"
    assert str(query.without("state")) == "web -is:overdue"
    with pytest.raises(BadQuery):
        query.with_term("state", "away")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        query = parse_query(text)
    except BadQuery:
        return
    assert parse_query(str(query)) == query
    condition = to_sql(query, START)
    assert condition.sql.count("?") == len(condition.parameters)


def test_values_are_parameters_never_sql() -> None:
    hostile = "x') OR 1=1 --"
    query = HostQuery((Term("", (hostile,)), Term("tag", (hostile,))))
    assert hostile not in to_sql(query, START).sql
