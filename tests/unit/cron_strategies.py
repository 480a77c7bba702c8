"""Cron expressions that cron knows, for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st


def terms(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high)
    spans = st.tuples(numbers, numbers).map(sorted)
    return st.one_of(
        st.just("*"),
        numbers.map(str),
        st.integers(1, high).map(lambda step: f"*/{step}"),
        spans.map(lambda span: f"{span[0]}-{span[1]}"),
        st.tuples(spans.filter(lambda span: span[0] < span[1]), st.integers(1, high)).map(
            lambda both: f"{both[0][0]}-{both[0][1]}/{both[1]}"
        ),
    )


def field(low: int, high: int) -> st.SearchStrategy[str]:
    return st.lists(terms(low, high), min_size=1, max_size=3).map(",".join)
