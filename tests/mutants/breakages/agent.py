"""The agent: nothing is lost, nothing runs twice, no secret leaves it: R15, R18, R20."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "agent/policy.py"
SPOOL = "agent/spool.py"
OF_POLICY = "unit/agent/test_policy.py"
OF_SPOOL = "unit/agent/test_spool.py"
OF_SCHEDULE = "unit/agent/test_schedule.py"
OF_ALONE = "integration/agent/test_alone.py"
OF_CONNECTION = "integration/agent/test_connection.py"

MUTANTS = (
    Mutant(
        "spool-results-are-dropped",
        "R18",
        SPOOL,
        '            over = self._drop("job_started", over, keep=0)\n',
        '            over = self._drop("job_finished", over, keep=0)\n',
        f"{OF_SPOOL}::test_then_starts_then_older_fires_and_results_never",
    ),
    Mutant(
        "spool-acknowledged-one-too-many",
        "R18",
        SPOOL,
        '"DELETE FROM report WHERE seq <= ?", reached',
        '"DELETE FROM report WHERE seq <= ?", reached + 1',
        f"{OF_SPOOL}::test_reports_are_numbered_and_acknowledged_cumulatively",
    ),
    Mutant(
        "spool-numbers-begin-again",
        "R18",
        SPOOL,
        "seq = self._last_given() + 1",
        "seq = self.state().last_seq + 1",
        f"{OF_SPOOL}::test_reports_are_numbered_and_acknowledged_cumulatively",
    ),
    Mutant(
        "spool-newest-first",
        "R18",
        SPOOL,
        "SELECT seq, body FROM report WHERE seq > ? ORDER BY seq LIMIT ?",
        "SELECT seq, body FROM report WHERE seq > ? ORDER BY seq DESC LIMIT ?",
        f"{OF_SPOOL}::test_reports_are_numbered_and_acknowledged_cumulatively",
    ),
    Mutant(
        "spool-lost-in-a-power-cut",
        "R18",
        "agent/store.py",
        '        connection.execute("PRAGMA synchronous = FULL")\n',
        '        connection.execute("PRAGMA synchronous = OFF")\n',
        f"{OF_SPOOL}::test_r18_what_was_written_survives_a_power_cut",
    ),
    Mutant(
        "agent-half-a-transaction-stays",
        "R18 one-transaction",
        "agent/store.py",
        '        except BaseException:\n            self._leave("ROLLBACK")\n            raise\n',
        '        except BaseException:\n            self._leave("COMMIT")\n            raise\n',
        f"{OF_SPOOL}::test_a_crash_between_two_writes_leaves_neither",
    ),
    Mutant(
        "agent-starts-a-known-job-again",
        "R15",
        POLICY,
        "    if known is not None:\n        return RunVerdict.KNOWN\n",
        "",
        f"{OF_POLICY}::test_r15_a_run_is_started_or_declined",
    ),
    Mutant(
        "agent-runs-what-has-succeeded",
        "R15",
        POLICY,
        "    if run_succeeded:\n        return RunVerdict.ALREADY_SUCCEEDED\n",
        "",
        f"{OF_POLICY}::test_r15_a_run_is_started_or_declined",
    ),
    Mutant(
        "agent-runs-two-jobs-at-once",
        "R15",
        POLICY,
        "    if situation.busy:\n        return RunVerdict.BUSY\n",
        "",
        f"{OF_POLICY}::test_r15_a_run_is_started_or_declined",
    ),
    Mutant(
        "agent-runs-alone-a-tick-late",
        "R15",
        POLICY,
        "    if now < waiting.due_at:\n",
        "    if now <= waiting.due_at:\n",
        f"{OF_POLICY}::test_r15_an_unanswered_fire",
    ),
    Mutant(
        "agent-alone-under-an-id-of-its-own",
        "R15",
        "agent/ledger.py",
        "        return job_id(self.run_id, self.attempt)\n",
        "        return job_id(self.run_id, self.attempt + 1)\n",
        f"{OF_ALONE}::test_a_fire_is_reported_and_run_alone_when_nobody_answers",
    ),
    Mutant(
        "agent-accepts-before-it-is-on-disk",
        "R15 R18",
        "agent/machine.py",
        "            self.ledger.add_job(job, now)\n",
        "",
        "unit/agent/test_machine.py::test_r15_an_accepted_job_is_never_started_again",
    ),
    Mutant(
        "agent-makes-up-for-what-it-slept-through",
        "R14",
        "agent/schedule.py",
        "after = max(looked_until, now - tolerance - TICK)",
        "after = looked_until",
        f"{OF_SCHEDULE}::test_due_fires",
    ),
    Mutant(
        "agent-fires-at-the-edge-are-lost",
        "R18",
        "agent/schedule.py",
        "after = max(looked_until, now - tolerance - TICK)",
        "after = max(looked_until, now - tolerance)",
        f"{OF_SCHEDULE}::test_due_fires",
    ),
    Mutant(
        "agent-does-not-wait-after-a-wake",
        "R15",
        POLICY,
        "return max(due_at, now + autonomy)",
        "return due_at",
        f"{OF_POLICY}::test_after_a_sleep_the_server_gets_its_time_again",
    ),
    Mutant(
        "agent-does-not-hold",
        "R15 R17",
        "agent/machine.py",
        "            self.ledger.postpone(waiting, until)\n",
        "            self.ledger.postpone(waiting, min(until, waiting.due_at))\n",
        f"{OF_ALONE}::test_hold_puts_the_lone_run_off",
    ),
    Mutant(
        "agent-counter-follows-the-clock-back",
        "R3",
        "agent/app.py",
        "counter = max(previous + 1, now_millis, (above or 0) + 1)",
        "counter = max(now_millis, (above or 0) + 1)",
        f"{OF_CONNECTION}::test_the_counter_grows_when_the_clock_is_set_back",
    ),
    Mutant(
        "agent-logs-tell-secrets",
        "R20",
        "agent/engines/secrets.py",
        "            text = text.replace(secret, instead)\n",
        "            text.replace(secret, instead)\n",
        "unit/agent/test_parts.py::test_secrets_are_cut_out",
    ),
    Mutant(
        "hooks-see-the-keys-of-the-repository",
        "R20",
        "agent/engines/hooks.py",
        "environment = plain_environment() | facts\n",
        "environment = plain_environment() | facts\n"
        "    environment |= work.repository.environment if work.repository else {}\n",
        "unit/agent/test_hooks.py::test_r20_a_hook_is_given_nothing_of_the_repository",
    ),
    Mutant(
        "restic-password-in-its-arguments",
        "R20",
        "agent/engines/restic_kinds.py",
        '        "--", *present,\n',
        '        f"--tag={task.work.repository.password}", "--", *present,\n',
        "integration/agent/test_restic.py::test_secrets_are_nowhere",
    ),
)
