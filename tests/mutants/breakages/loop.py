"""The loop: one transaction, outbox, deadlines, effects, and another log than the one we knew."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CORE = "libs/common/loop/core.py"
ANSWERS = "libs/common/loop/answers.py"
UNSENT = "libs/common/loop/unsent.py"
DEADLINE_TABLE = "libs/common/loop/deadlines.py"
TX = "libs/common/loop/tx.py"
SERVICE = "libs/common/loop/service.py"
SENDER = "libs/common/loop/sender.py"
FOLLOW = "libs/common/loop/follow.py"
EFFECTS = "libs/common/loop/effects.py"
OF_CORE = "unit/loop/test_core.py"
OF_SERVICE = "unit/loop/test_service.py"
OF_DEADLINES = "unit/loop/test_deadlines.py"
OF_SHELL = "unit/loop/test_shell.py"
OF_FOLLOW = "unit/loop/test_follow.py"

ONE_TRANSACTION = (
    Mutant(
        "loop-believes-a-fast-clock",
        "R3 R9 R11",
        CORE,
        "        tx.time = min(envelope.time, tx.now)",
        "        tx.time = envelope.time",
        "unit/catchup/test_machine.py::test_r11_the_settle_begins_when_we_heard_of_it_however_fast_"
        "the_gateways_clock_is",
    ),
    Mutant(
        "loop-position-in-a-transaction-of-its-own",
        "one-transaction R18",
        CORE,
        "                self._save(step.position)\n            self._answer",
        '                self.db.execute("COMMIT")\n'
        "                self._save(step.position)\n"
        '                self.db.execute("BEGIN IMMEDIATE")\n            self._answer',
        f"{OF_CORE}::test_a_fault_at_the_end_of_a_step_takes_all_of_it_back",
    ),
    Mutant(
        "loop-whole-batch-before-a-call",
        "turns",
        CORE,
        "Envelope) -> None:\n        TURNS.give_way()\n",
        "Envelope) -> None:\n",
        "unit/loop/test_turns.py::"
        "test_a_call_waits_for_one_event_of_another_service_not_for_its_batch",
    ),
    Mutant(
        "loop-all-deadlines-before-agents",
        "turns",
        CORE,
        "        TURNS.give_way()\n        tx.unschedule(kind, key)",
        "        tx.unschedule(kind, key)",
        "unit/loop/test_turns.py::test_agents_wait_for_one_deadline_of_another_service_not_for_all",
    ),
    Mutant(
        "loop-position-not-saved",
        "one-transaction R18",
        CORE,
        "                self._save(step.position)\n            self._answer",
        "            self._answer",
        f"{OF_CORE}::test_position_state_and_outbox_are_one_transaction",
    ),
    Mutant(
        "loop-calls-read-no-decision-of-their-step",
        "R19",
        ANSWERS,
        "        if inputs:\n            tx.write_decisions()",
        "        if False:\n            tx.write_decisions()",
        f"{OF_CORE}::test_r19_what_the_log_led_to_is_read_by_a_call_and_stays_if_the_call_fails",
    ),
    Mutant(
        "loop-half-applied-message-keeps-its-events",
        "one-transaction outbox",
        CORE,
        "            tx.back_to(mark)\n            step.unknown = unknown\n",
        "            step.unknown = unknown\n",
        f"{OF_CORE}::test_poison_is_found_and_the_rest_applied",
    ),
    Mutant(
        "loop-poison-buries-its-neighbours",
        "one-transaction",
        CORE,
        "            if len(messages) == 1:\n",
        "            if messages:\n",
        f"{OF_CORE}::test_poison_is_found_and_the_rest_applied",
    ),
    Mutant(
        "loop-full-disk-taken-for-poison",
        "R18",
        CORE,
        "        except Exception as error:\n            if is_fault(error):\n                raise\n"
        "            tx.back_to(mark)\n            step.unknown",
        "        except Exception as error:\n            tx.back_to(mark)\n            step.unknown",
        f"{OF_CORE}::test_a_torn_file_is_no_messages_fault",
    ),
    Mutant(
        "loop-a-hop-for-each-message",
        "one-hop",
        SERVICE,
        "            await self._step(messages, inputs, now, deadlines=due)\n",
        "            for message in messages:\n"
        "                await self._step([message], [], now)\n"
        "            await self._step([], inputs, now, deadlines=due)\n",
        f"{OF_SERVICE}::test_a_batch_is_one_hop_to_the_database_thread",
    ),
)

OUTBOX = (
    Mutant(
        "outbox-forgotten-at-a-restart",
        "outbox R18",
        CORE,
        "step = Step(position, outbox=self._unsent.load())",
        "step = Step(position)",
        f"{OF_CORE}::test_an_own_event_in_the_log_removes_its_row_and_those_before",
    ),
    Mutant(
        "outbox-row-not-written",
        "outbox R18",
        CORE,
        "            tx.write_down()\n        self._last_row",
        "        self._last_row",
        f"{OF_CORE}::test_an_own_event_in_the_log_removes_its_row_and_those_before",
    ),
    Mutant(
        "outbox-written-after-the-commit",
        "one-transaction outbox R18",
        CORE,
        "            tx.write_down()\n        self._last_row",
        "        tx.write_down()\n        self._last_row",
        f"{OF_CORE}::test_an_outbox_that_cannot_be_written_takes_the_step_back",
    ),
    Mutant(
        "outbox-row-numbers-are-used-again",
        "outbox",
        UNSENT,
        "    return int(found[0]) if found else 0\n",
        "    return min(int(found[0]), 0) if found else 0\n",
        f"{OF_CORE}::test_a_row_number_is_never_used_again",
    ),
    Mutant(
        "loop-what-waited-is-applied-again-after-a-cut",
        "one-transaction",
        SERVICE,
        "        self._company.take()  # The new reader gives it again.\n",
        "",
        f"{OF_SERVICE}::test_what_waits_is_read_again_after_a_cut",
    ),
    Mutant(
        "outbox-newest-first-after-a-restart",
        "outbox",
        UNSENT,
        '"SELECT row_id, event_id, subject, bucket, data FROM outbox ORDER BY row_id"',
        '"SELECT row_id, event_id, subject, bucket, data FROM outbox ORDER BY row_id DESC"',
        f"{OF_CORE}::test_an_own_event_in_the_log_removes_its_row_and_those_before",
    ),
    Mutant(
        "outbox-sent-out-of-order",
        "outbox",
        SENDER,
        "batch = list(islice(self._rows, BATCH))",
        "batch = list(islice(reversed(self._rows), BATCH))",
        f"{OF_SHELL}::test_who_waits_for_a_value_learns_where_its_event_stands",
    ),
    Mutant(
        "outbox-a-refused-row-is-skipped",
        "outbox",
        SENDER,
        "                await self._wait_refused(error)\n",
        "                await self._wait_refused(error)\n                self._rows.popleft()\n",
        OF_SHELL,
    ),
    Mutant(
        "outbox-own-event-read-is-sent-again",
        "outbox",
        UNSENT,
        "found = {message.event_id for message in messages} if self._rows else ()",
        "found = ()",
        f"{OF_CORE}::test_an_own_event_in_the_log_removes_its_row_and_those_before",
    ),
    Mutant(
        "outbox-a-later-own-event-speaks-for-an-earlier",
        "outbox",
        UNSENT,
        "            if event_id not in found:\n                break\n",
        "            if event_id not in found:\n                continue\n",
        f"{OF_CORE}::test_an_own_event_that_got_there_alone_leaves_the_one_before_it_to_be_sent",
    ),
    Mutant(
        "outbox-sent-before-the-log-was-read",
        "outbox",
        SERVICE,
        "            await self._catch_up(reader)\n"
        "            sending = asyncio.create_task(self.sender.run())\n",
        "            sending = asyncio.create_task(self.sender.run())\n"
        "            await asyncio.sleep(0.05)\n            await self._catch_up(reader)\n",
        f"{OF_SERVICE}::test_what_was_stored_unanswered_is_found_in_the_log_and_not_sent_again",
    ),
    Mutant(
        "outbox-answered-before-it-is-acknowledged",
        "outbox R18",
        "libs/common/loop/inputs.py",
        "elif self.future is not None and row == 0:",
        "elif self.future is not None:",
        f"{OF_SERVICE}::test_a_call_is_answered_once_its_events_are_acknowledged",
    ),
)

DEADLINES = (
    Mutant(
        "deadline-of-a-refused-input-stays",
        "deadlines one-transaction",
        TX,
        "        del self._deadlines[mark[3] :]\n",
        "",
        f"{OF_DEADLINES}::test_what_an_input_scheduled_in_vain_is_forgotten",
    ),
    Mutant(
        "deadline-that-was-the-first-is-not-looked-up-again",
        "deadlines",
        DEADLINE_TABLE,
        "        elif self.first is not None and self.first[1:] in last:\n            self.load()\n",
        "",
        f"{OF_DEADLINES}::test_the_first_is_that_of_the_table_whatever_changes",
    ),
    Mutant(
        "deadline-an-earlier-word-is-written",
        "deadlines",
        DEADLINE_TABLE,
        "for kind, key, due in changes}",
        "for kind, key, due in reversed(changes)}",
        f"{OF_DEADLINES}::test_the_first_is_that_of_the_table_whatever_changes",
    ),
    Mutant(
        "deadline-run-before-the-log-was-read",
        "deadlines R10",
        CORE,
        "            if deadlines:\n",
        "            if self.machine:\n",
        f"{OF_CORE}::test_no_deadline_runs_unless_the_log_was_read_to_its_tail",
    ),
    Mutant(
        "deadline-run-without-asking-for-the-tail",
        "deadlines R10",
        SERVICE,
        "            if due or any(entry.fresh for entry in inputs):\n",
        "            if any(entry.fresh for entry in inputs):\n",
        f"{OF_SERVICE}::test_no_deadline_is_decided_before_the_log_was_read_to_its_tail",
    ),
    Mutant(
        "deadline-run-while-the-bus-is-away",
        "deadlines R10",
        SERVICE,
        "await self._step([], self._inputs.take(fresh_too=False), self.clock.now())",
        "await self._step([], self._inputs.take(fresh_too=False), self.clock.now(), deadlines=True)",
        f"{OF_SERVICE}::test_no_deadline_is_decided_while_the_bus_is_away",
    ),
    Mutant(
        "deadline-run-before-a-beat",
        "deadlines R10",
        SERVICE,
        "return self._beat_seen or not self.machine.needs_beat",
        "return True",
        f"{OF_SERVICE}::test_no_deadline_is_decided_before_a_beat_of_this_connection",
    ),
    Mutant(
        "deadline-run-on-a-beat-of-an-earlier-connection",
        "deadlines R10",
        SERVICE,
        "        self._beat_seen = False\n        target = await reader.tail()\n",
        "        target = await reader.tail()\n",
        f"{OF_SERVICE}::test_no_deadline_is_decided_before_a_beat_of_this_connection",
    ),
    Mutant(
        "deadline-a-tick-early",
        "deadlines",
        CORE,
        "        now = to_micros(tx.now)\n        while step.due_run",
        "        now = to_micros(tx.now) + 1\n        while step.due_run",
        f"{OF_CORE}::test_deadline_set_in_the_same_step_is_due",
    ),
    Mutant(
        "call-decided-on-old-state",
        "deadlines",
        SERVICE,
        "            if due or any(entry.fresh for entry in inputs):\n",
        "            if due:\n",
        f"{OF_SERVICE}::test_a_call_is_decided_at_the_tail_as_of_its_arrival",
    ),
)

EFFECTS_AND_LOG = (
    Mutant(
        "effect-handed-out-again-in-every-step",
        "effects",
        CORE,
        '"SELECT row_id, kind, key, payload FROM effect WHERE row_id > ? ORDER BY row_id"',
        '"SELECT row_id, kind, key, payload FROM effect WHERE row_id >= ? ORDER BY row_id"',
        f"{OF_CORE}::test_an_effect_is_handed_out_once",
    ),
    Mutant(
        "effect-forgotten-at-a-restart",
        "effects R18",
        CORE,
        "            self._last_effect_row = 0\n            self._collect_effects(step)\n",
        "            self._collect_effects(step)\n",
        f"{OF_CORE}::test_effect_is_repeated_after_a_restart_until_its_outcome_is_taken",
    ),
    Mutant(
        "effect-dropped-but-its-outcome-counts",
        "effects",
        "libs/common/loop/outcomes.py",
        "        if gone.rowcount:\n",
        "        if gone is not None:\n",
        f"{OF_CORE}::test_an_outcome_of_a_dropped_effect_is_ignored",
    ),
    Mutant(
        "effect-carried-out-twice-at-once",
        "effects",
        EFFECTS,
        "if effect.row_id not in self._running and effect.row_id not in self._undecided:",
        "if effect.row_id:",
        "unit/loop/test_effects.py::test_an_effect_is_not_begun_again_before_its_outcome_is_written_down",
    ),
    Mutant(
        "log-made-anew-is-read-on",
        "re-bootstrap R18",
        FOLLOW,
        "if position.log_created_at != info.created_at:",
        "if not info.created_at:",
        f"{OF_CORE}::test_r18_log_is_the_one_we_knew",
    ),
    Mutant(
        "log-with-another-event-there-is-read-on",
        "re-bootstrap R18",
        FOLLOW,
        "    if event_id != position.event_id:\n",
        "    if event_id is None:\n",
        f"{OF_CORE}::test_r18_log_is_the_one_we_knew",
    ),
    Mutant(
        "log-that-ends-before-us-is-read-on",
        "re-bootstrap R18",
        FOLLOW,
        "    if info.last_seq < position.seq:\n        return LogVerdict.REWOUND\n",
        "    if info.last_seq < position.seq:\n        return LogVerdict.CONTINUES\n",
        f"{OF_CORE}::test_r18_log_is_the_one_we_knew",
    ),
    Mutant(
        "log-that-outlived-us-is-read-on",
        "re-bootstrap R18",
        FOLLOW,
        "kept = info.first_seq <= position.seq + 1",
        "kept = info.first_seq <= position.seq + 2",
        f"{OF_CORE}::test_r18_log_is_the_one_we_knew",
    ),
    Mutant(
        "another-log-is-read-from-its-tail",
        "re-bootstrap R3",
        FOLLOW,
        "    if verdict is LogVerdict.FIRST_START:\n",
        "    if verdict is not LogVerdict.REWOUND:\n",
        f"{OF_FOLLOW}::test_r18_what_another_log_holds_already_is_read",
    ),
    Mutant(
        "rewound-log-is-read-from-its-tail",
        "re-bootstrap R3",
        FOLLOW,
        "            high = middle\n",
        "            low = middle\n",
        f"{OF_FOLLOW}::test_r18_what_a_rewound_log_holds_already_is_read",
    ),
    Mutant(
        "log-changed-while-it-was-opened",
        "re-bootstrap contiguity",
        FOLLOW,
        "if bus.generation != generation:",
        "if bus.generation < generation:",
        f"{OF_SHELL}::test_a_log_that_is_wiped_while_it_is_opened_is_looked_at_again",
    ),
    Mutant(
        "log-lost-but-buckets-not-put-again",
        "re-bootstrap R18",
        CORE,
        "            if again:\n                self.machine.republish(tx)\n",
        "",
        "unit/registry/test_load.py::test_after_the_log_was_wiped_the_buckets_are_put_again",
    ),
)

MUTANTS = (*ONE_TRANSACTION, *OUTBOX, *DEADLINES, *EFFECTS_AND_LOG)
