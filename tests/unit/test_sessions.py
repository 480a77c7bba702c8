"""R3: a late message of an older connection never changes the state of a newer one."""

from __future__ import annotations

import pytest

from libs.common.sessions import HelloVerdict, assess_hello


@pytest.mark.parametrize(
    ("current", "connection", "known", "verdict"),
    [
        pytest.param(None, 5, False, HelloVerdict.NEWER, id="the first session"),
        pytest.param(None, None, False, HelloVerdict.NEWER, id="the first, without a counter"),
        pytest.param(5, 6, False, HelloVerdict.NEWER, id="one more"),
        pytest.param(5, 5, False, HelloVerdict.OLDER, id="the counter is taken"),
        pytest.param(5, 4, False, HelloVerdict.OLDER, id="one less came late"),
        pytest.param(5, None, False, HelloVerdict.NEWER, id="no counter: the log decides"),
        pytest.param(None, 4, False, HelloVerdict.NEWER, id="the live one has none"),
        pytest.param(5, 6, True, HelloVerdict.KNOWN, id="the same hello again"),
        pytest.param(5, None, True, HelloVerdict.KNOWN, id="again, and without a counter"),
    ],
)
def test_r3_a_hello(
    current: int | None, connection: int | None, known: bool, verdict: HelloVerdict
) -> None:
    assert assess_hello(current, connection, known=known) is verdict
