"""The loop's promises, one step at a time, on a real SQLite connection."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.bus.base import LogInfo, LogMessage
from libs.common.errors import BadInput
from libs.common.events.agent import AgentHello
from libs.common.events.base import decode, encode
from libs.common.events.host import SYSTEM, Dead
from libs.common.events.presence import PresenceOnline
from libs.common.loop.calls import DecisionsOf, list_decisions
from libs.common.loop.core import FAILED_AGAIN, Core
from libs.common.loop.follow import LogVerdict, assess_log
from libs.common.loop.step import Position, StoreFault
from libs.common.loop.tx import Tx
from libs.common.store.database import open_connection
from tests.integration.loop.counter import Counter

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)


class Picky(Counter):
    """Refuses the hellos of one host, as a defect would."""

    def on_hello(self, tx: Tx, event: AgentHello) -> None:
        super().on_hello(tx, event)
        tx.signal("hello", event.session)
        if event.host_id == "poison":
            raise ZeroDivisionError


@pytest.fixture
def core() -> Core:
    core = Core(Picky(), open_connection(":memory:", Counter.package))
    core.start_at(Position("log-1", 0, ""), {}, NOW, again=False)
    return core


def message(seq: int, host: str = "h", event_id: str = "") -> LogMessage:
    event = AgentHello(host_id=host, session=f"s{seq}", gateway="gw-1")
    data = encode(event, event_id=event_id or f"e{seq}", source="dormice/gateway", time=NOW)
    return LogMessage(seq, event.subject(), data, event_id or f"e{seq}")


def count(core: Core, table: str) -> int:
    (number,) = core.db.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(number)


def emitted(step: Any) -> list[Any]:
    rows = [row.message for row in step.outbox if row.message.bucket is None]
    return [envelope.event for row in rows if (envelope := decode(row.data))]


def test_position_state_and_outbox_are_one_transaction(core: Core) -> None:
    step = core.step([message(1), message(2)], now=NOW)
    assert core.position() == Position("log-1", 2, "e2") == step.position
    assert count(core, "hello") == 2
    assert [type(event) for event in emitted(step)] == [PresenceOnline, PresenceOnline]
    assert step.next_due == NOW + timedelta(milliseconds=20)


@pytest.mark.parametrize("place", [1, 2, 5, 8])
def test_poison_is_found_and_the_rest_applied(core: Core, place: int) -> None:
    batch = [message(seq, "poison" if seq == place else f"h{seq}") for seq in range(1, 9)]
    step = core.step(batch, now=NOW)
    (dead,) = [event for event in emitted(step) if isinstance(event, Dead)]
    assert (dead.seq, dead.event_id, step.dead) == (place, f"e{place}", 1)
    assert "ZeroDivisionError" in dead.error
    assert count(core, "hello") == 7
    assert core.position() == Position("log-1", 8, "e8")
    assert f"s{place}" not in [signal.value for signal in step.signals]
    assert len(step.signals) == 7


@pytest.mark.parametrize(
    ("header", "body", "named"),
    [
        pytest.param("e1", b"{", "e1", id="by its header"),
        pytest.param("", b'{"id":"01J","data":3}', "01J", id="by its body"),
        pytest.param("", b"{", "seq-1", id="by its place"),
        pytest.param("", b'{"id":["x"]}', "seq-1", id="an id that is none"),
        pytest.param("a b.*", b"{", "seq-1", id="an id that is no token of a subject"),
    ],
)
def test_a_dead_letter_names_the_event(core: Core, header: str, body: bytes, named: str) -> None:
    step = core.step([LogMessage(1, "dormice.agent.h.hello", body, header)], now=NOW)
    (dead,) = emitted(step)
    assert dead.subject() == f"dormice.dead.presence.{named}"


def test_bytes_that_are_no_event_become_a_dead_letter(core: Core) -> None:
    step = core.step([LogMessage(1, "dormice.agent.h.hello", b"{", "e1"), message(2)], now=NOW)
    assert step.dead == 1
    assert count(core, "hello") == 1


def test_unknown_types_are_skipped(core: Core) -> None:
    unknown = message(1).data.replace(b"agent.hello.v1", b"agent.hello.v9")
    step = core.step([LogMessage(1, "dormice.agent.h.hello", unknown, "e1")], now=NOW)
    assert (step.dead, step.unknown, count(core, "hello")) == (0, 1, 0)


@pytest.mark.parametrize(
    ("subject", "unknown"),
    [
        pytest.param("dormice.agent.h.dreamt", 1, id="a newer service's"),
        pytest.param("dormice.agent.h.synced", 0, id="not ours to handle"),
        pytest.param("dormice.audit.registry.h", 0, id="of any target"),
    ],
)
def test_unknown_subjects_are_counted_once(core: Core, subject: str, unknown: int) -> None:
    """Once, though the poison beside it makes the batch be applied twice."""
    batch = [LogMessage(1, subject, b"{}", "e1"), message(2, "poison")]
    step = core.step(batch, now=NOW)
    assert (step.dead, step.unknown) == (1, unknown)


def test_a_fault_of_the_disk_is_no_messages_fault(core: Core) -> None:
    core.step([message(1)], now=NOW)
    (pages,) = core.db.execute("PRAGMA page_count").fetchone()
    core.db.execute(f"PRAGMA max_page_count = {pages}")
    batch = [message(seq, f"{seq}" * 200) for seq in range(2, 400)]
    with pytest.raises(StoreFault, match="full"):
        core.step(batch, now=NOW)
    assert core.position() == Position("log-1", 1, "e1")
    core.db.execute("PRAGMA max_page_count = 100000")
    assert core.step(batch, now=NOW).dead == 0
    assert count(core, "hello") == 399


def test_a_fault_at_the_end_of_a_step_takes_all_of_it_back(core: Core) -> None:
    """Position, state, outbox and deadlines are committed together or not at all."""

    def torn(tx: Tx) -> None:
        error = sqlite3.DatabaseError("torn")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    with pytest.raises(StoreFault):
        core.step([message(1)], [torn], now=NOW)
    assert core.position() == Position("log-1", 0, "")
    assert [count(core, table) for table in ("hello", "outbox", "deadline")] == [0, 0, 0]


def test_an_outbox_that_cannot_be_written_takes_the_step_back(core: Core) -> None:
    """What was decided and what is to be told of it stand in the file together."""
    core.db.execute(
        "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.outbox "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(sqlite3.IntegrityError):
        core.step([message(1)], now=NOW)
    assert core.position() == Position("log-1", 0, "")
    assert [count(core, table) for table in ("hello", "deadline")] == [0, 0]


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR_WRITE])
def test_a_torn_file_is_no_messages_fault(core: Core, code: int) -> None:
    """SQLite tells of it by another class of error than of a full disk."""

    def torn(tx: Tx, event: AgentHello) -> None:
        error = sqlite3.DatabaseError("torn")
        error.sqlite_errorcode = code
        raise error

    core.machine.handlers = {AgentHello: torn}
    with pytest.raises(StoreFault, match="presence cannot use its state file: torn"):
        core.step([message(1), message(2)], now=NOW)
    assert core.position() == Position("log-1", 0, "")


def test_a_wrong_statement_is_poison(core: Core) -> None:
    """It would fail again for ever, and the log with it."""
    core.machine.handlers = {AgentHello: lambda tx, event: tx.db.execute("SELECT * FROM nothing")}
    assert core.step([message(1)], now=NOW).dead == 1
    assert core.position() == Position("log-1", 1, "e1")


def test_an_own_event_in_the_log_removes_its_row_and_those_before(core: Core) -> None:
    first = core.step([message(1, "a"), message(2, "b")], now=NOW)
    own = [row.message for row in first.outbox if row.message.bucket is None]
    assert own[0].data is not None
    seen = LogMessage(3, own[0].subject, own[0].data, own[0].event_id)
    step = core.step([seen], now=NOW)
    assert step.sent_rows == [first.outbox[1].row_id]
    left = [row.message.event_id for row in core.restart().outbox]
    assert left == [row.message.event_id for row in first.outbox[2:]]


def test_an_own_event_that_got_there_alone_leaves_the_one_before_it_to_be_sent(core: Core) -> None:
    """Events of different hosts are on their way at once; the bus may have failed between them."""
    first = core.step([message(1, "a"), message(2, "b")], now=NOW)
    one, other = (row.message for row in first.outbox if row.message.bucket is None)
    seen = [LogMessage(seq, own.subject, own.data or b"", own.event_id)
            for seq, own in ((3, other), (4, one))]  # fmt: skip
    assert core.step(seen[:1], now=NOW).sent_rows == []
    assert core.restart().outbox == first.outbox
    core.step(seen[1:], now=NOW)
    left = [row.message.event_id for row in core.restart().outbox if row.message.bucket is None]
    assert left == [other.event_id]  # The bus knows its id: stored twice it is not.


def test_acknowledged_rows_go_with_the_next_step(core: Core) -> None:
    step = core.step([message(1)], now=NOW)
    core.step(now=NOW, acknowledged_row=step.outbox[-1].row_id)
    assert core.restart().outbox == []


def test_a_row_number_is_never_used_again(core: Core) -> None:
    """It tells what is acknowledged: an empty outbox begins no new count after a restart."""
    last = core.step([message(1)], now=NOW).outbox[-1].row_id
    core.step(now=NOW, acknowledged_row=last)
    assert count(core, "outbox") == 0
    again = Core(core.machine, core.db)
    assert again.step([message(2)], now=NOW).outbox[0].row_id == last + 1


def test_outbox_is_handed_out_once_and_again_after_a_restart(core: Core) -> None:
    step = core.step([message(1)], now=NOW)
    assert core.step(now=NOW).outbox == []
    assert core.restart().outbox == step.outbox


def test_no_deadline_runs_unless_the_log_was_read_to_its_tail(core: Core) -> None:
    core.step([message(1)], now=NOW)
    later = NOW + timedelta(seconds=1)
    assert core.step(now=later).due_run == 0
    assert core.step(now=later, deadlines=True).due_run == 1


DUE_IN = timedelta(milliseconds=20)
MOMENTS = pytest.mark.parametrize(
    ("after", "run"),
    [
        pytest.param(DUE_IN - timedelta(microseconds=1), 0, id="one tick early"),
        pytest.param(DUE_IN, 1, id="exactly due"),
        pytest.param(timedelta(seconds=-5), 0, id="clock stepped back"),
    ],
)


@MOMENTS
def test_deadline_is_due(core: Core, after: timedelta, run: int) -> None:
    core.step([message(1)], now=NOW)
    assert core.step(now=NOW + after, deadlines=True).due_run == run


@MOMENTS
def test_deadline_set_in_the_same_step_is_due(core: Core, after: timedelta, run: int) -> None:
    step = core.step(
        inputs=[lambda tx: tx.schedule("quiet", "h", NOW + DUE_IN)], now=NOW + after, deadlines=True
    )
    assert step.due_run == run


def test_a_deadline_that_fails_is_looked_at_again(core: Core) -> None:
    core.step([message(1)], now=NOW)
    honest = core.machine.deadlines

    def broken(tx: Tx, key: str, due_at: datetime) -> None:
        honest["quiet"](tx, key, due_at)
        raise ZeroDivisionError

    core.machine.deadlines = {"quiet": broken}
    later = NOW + timedelta(seconds=1)
    failed = core.step(now=later, deadlines=True)
    assert (failed.due_run, emitted(failed)) == (1, [])
    assert failed.next_due == later + FAILED_AGAIN
    core.machine.deadlines = honest
    assert len(emitted(core.step(now=later + FAILED_AGAIN, deadlines=True))) == 1


def test_inputs_are_decided_one_by_one(core: Core) -> None:
    def good(tx: Tx) -> str:
        tx.emit(PresenceOnline(host_id="x", name="", always_on=True, session="", gateway="",
                               since=NOW))  # fmt: skip
        return "done"

    def bad(tx: Tx) -> None:
        good(tx)
        raise BadInput("no")

    step = core.step(inputs=[good, bad, lambda _: 3], now=NOW)
    assert step.answers[0] == "done"
    assert isinstance(step.answers[1], BadInput)
    assert step.answers[2] == 3
    assert len(emitted(step)) == 1
    assert step.answer_rows[0] > 0 == step.answer_rows[1] == step.answer_rows[2]


def test_r19_what_the_log_led_to_is_read_by_a_call_and_stays_if_the_call_fails(core: Core) -> None:
    core.machine.handlers = {AgentHello: lambda tx, event: tx.decide(event.host_id, "seen", "")}

    def read_and_fail(tx: Tx) -> None:
        read(tx)
        raise BadInput("no")

    def read(tx: Tx) -> list[str]:
        asked = DecisionsOf(host_id="h")
        return [one["what"] for one in list_decisions(tx, SYSTEM, asked)]

    step = core.step([message(1)], [read_and_fail, read], now=NOW)
    assert step.answers[1] == ["seen"]
    assert count(core, "decision") == 1


def test_an_outcome_of_a_dropped_effect_is_ignored(core: Core) -> None:
    ended: list[dict[str, Any]] = []
    core.machine.outcomes = {"send": lambda tx, key, payload, outcome: ended.append(outcome)}
    step = core.step(inputs=[lambda tx: tx.start_effect("send", "k", {"n": 1})], now=NOW)
    (effect,) = step.effects
    core.step(inputs=[lambda tx: tx.drop_effect("send", "k")], now=NOW)
    core.step(inputs=[core.outcome(effect, {"ok": True})], now=NOW)
    assert ended == []


def test_an_effect_is_handed_out_once(core: Core) -> None:
    step = core.step(inputs=[lambda tx: tx.start_effect("send", "k", {"n": 1})], now=NOW)
    assert [effect.key for effect in step.effects] == ["k"]
    assert core.step(now=NOW).effects == []
    step = core.step(inputs=[lambda tx: tx.start_effect("send", "l", {"n": 2})], now=NOW)
    assert [effect.key for effect in step.effects] == ["l"]


def test_effect_is_repeated_after_a_restart_until_its_outcome_is_taken(core: Core) -> None:
    ended: list[str] = []
    core.machine.outcomes = {"send": lambda tx, key, payload, outcome: ended.append(key)}
    core.step(inputs=[lambda tx: tx.start_effect("send", "k", {"n": 1})], now=NOW)
    (effect,) = core.restart().effects
    core.step(inputs=[core.outcome(effect, {"ok": True})], now=NOW)
    core.step(inputs=[core.outcome(effect, {"ok": True})], now=NOW)
    assert ended == ["k"]
    assert core.restart().effects == []


POSITION = Position("log-1", 10, "e10")


@pytest.mark.parametrize(
    ("info", "event_id", "verdict"),
    [
        pytest.param(LogInfo("log-1", 1, 10), "e10", LogVerdict.CONTINUES, id="at the tail"),
        pytest.param(LogInfo("log-1", 1, 99), "e10", LogVerdict.CONTINUES, id="behind"),
        pytest.param(LogInfo("log-2", 1, 99), "e10", LogVerdict.WIPED, id="another log"),
        pytest.param(LogInfo("log-1", 1, 9), None, LogVerdict.REWOUND, id="shorter"),
        pytest.param(LogInfo("log-1", 1, 10), "x", LogVerdict.REWOUND, id="another event there"),
        pytest.param(LogInfo("log-1", 11, 99), None, LogVerdict.CONTINUES, id="just expired"),
        pytest.param(LogInfo("log-1", 12, 99), None, LogVerdict.OUTLIVED, id="one was dropped"),
    ],
)
def test_r18_log_is_the_one_we_knew(info: LogInfo, event_id: str | None, verdict: Any) -> None:
    assert assess_log(POSITION, info, event_id) is verdict


def test_first_start() -> None:
    assert assess_log(None, LogInfo("log-1", 1, 0), None) is LogVerdict.FIRST_START


def test_a_newer_file_is_refused() -> None:
    db = open_connection(":memory:", Counter.package)
    db.execute("INSERT INTO migration VALUES ('libs.common.store', 9999)")
    from libs.common.errors import StoreBroken
    from libs.common.store.migrate import migrate

    with pytest.raises(StoreBroken, match="newer version"):
        migrate(db, Counter.package)


def test_database_errors_other_than_faults_are_poison(core: Core) -> None:
    def broken(tx: Tx) -> None:
        raise sqlite3.IntegrityError("unique")

    step = core.step(inputs=[broken], now=NOW)
    assert "IntegrityError" in step.answers[0].message


def test_what_is_to_be_done_last_is_done_once_and_in_the_same_transaction(core: Core) -> None:
    done: list[str] = []

    def look(tx: Tx, key: str) -> None:
        done.append(key)
        tx.schedule("look", key, NOW)
        tx.start_effect("send", key, {})

    def ask(tx: Tx) -> None:
        tx.before_commit(look, "a")
        tx.before_commit(look, "b")
        assert done == []

    step = core.step(inputs=[ask, ask], now=NOW)
    assert done == ["a", "b"]
    assert step.next_due == NOW
    assert [effect.key for effect in step.effects] == ["a", "b"]


def test_what_fails_at_the_end_takes_nothing_else_back(core: Core) -> None:
    def fail(tx: Tx, key: str) -> None:
        tx.start_effect("send", key, {})
        raise ValueError(key)

    def ask(tx: Tx) -> int:
        tx.before_commit(fail, "a")
        return 1

    step = core.step([message(1)], [ask], now=NOW)
    assert step.answers == [1]
    assert step.effects == []
    assert count(core, "hello") == 1
