"""Catch-up and cron: what a host that slept makes up for, and when: R11 to R14, R16."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/catchup/policy.py"
MACHINE = "services/catchup/machine.py"
PROGRESS = "services/catchup/progress.py"
CRON = "libs/common/cron.py"
OF_POLICY = "unit/catchup/test_policy.py"
OF_MACHINE = "unit/catchup/test_machine.py"
OF_QUEUE = "unit/catchup/test_queue.py"
OF_CRON = "unit/test_cron.py"
OF_REBUILD = "simulation/test_rebuild.py::test_catchup_is_rebuilt_as_it_was_amid_a_list"

ARMS = (
    Mutant(
        "catchup-arms-servers",
        "R11",
        MACHINE,
        "        if host.always_on:\n            if earlier",
        "        if host.removed:\n            if earlier",
        f"{OF_MACHINE}::test_r11_an_always_on_host_is_not_armed",
    ),
    Mutant(
        "catchup-same-hello-arms-again",
        "R11",
        MACHINE,
        "known = not store.note_session(tx, event.host_id, event.session)",
        "known = store.note_session(tx, event.host_id, event.session) is None",
        f"{OF_MACHINE}::test_r11_the_same_hello_after_the_catch_up_is_done_does_not_arm",
    ),
    Mutant(
        "catchup-due-at-once",
        "R11",
        MACHINE,
        "due_at = tx.time + self._settings.catchup_settle",
        "due_at = tx.time",
        f"{OF_MACHINE}::test_r11_armed_by_hello_and_due_after_the_settle",
    ),
    Mutant(
        "catchup-due-a-tick-late",
        "R11",
        POLICY,
        "    if now < at.due_at:\n",
        "    if now <= at.due_at:\n",
        f"{OF_POLICY}::test_r12_arm",
    ),
    Mutant(
        "catchup-policy-reads-the-clock",
        "pure-core",
        POLICY,
        "    if now < at.due_at:\n",
        "    if datetime.now().astimezone() < at.due_at:\n",
        "architecture/test_style.py::test_one_clock",
    ),
    Mutant(
        "catchup-runs-on-a-host-that-is-away",
        "R12",
        POLICY,
        "    if not at.online:\n        return ArmVerdict.WENT_OFFLINE\n",
        "",
        f"{OF_POLICY}::test_r12_arm",
    ),
    Mutant(
        "catchup-goes-on-after-a-change-of-mode",
        "R12",
        POLICY,
        "    if at.record.always_on:\n        return ArmVerdict.ALWAYS_ON\n",
        "",
        f"{OF_POLICY}::test_r12_arm",
    ),
    Mutant(
        "catchup-does-not-wait-for-reports",
        "R12",
        POLICY,
        "    if not at.synced:\n        return ArmVerdict.REPORTS_OUTSTANDING\n",
        "",
        f"{OF_POLICY}::test_r12_arm",
    ),
    Mutant(
        "catchup-does-not-wait-for-a-running-job",
        "R12",
        POLICY,
        "    if at.job_running:\n        return ArmVerdict.JOB_RUNNING\n",
        "",
        f"{OF_POLICY}::test_r12_arm",
    ),
    Mutant(
        "catchup-goes-on-after-a-failed-send",
        "R16",
        POLICY,
        "    if at.send_failed:\n        return ArmVerdict.SEND_FAILED\n",
        "",
        f"{OF_POLICY}::test_r12_arm",
    ),
    Mutant(
        "catchup-asks-again-in-the-session-that-is-gone",
        "R16",
        "services/catchup/outcomes.py",
        "    arms.set_state(tx, run.host_id, ArmState.WAITING, ArmVerdict.SEND_FAILED.name)\n",
        "",
        f"{OF_MACHINE}::test_r16_undeliverable_waits_for_the_next_hello",
    ),
    Mutant(
        "catchup-waits-for-power-for-ever",
        "R13",
        "services/catchup/policy_conditions.py",
        "    if now >= latest:\n        return None\n",
        "",
        "unit/catchup/test_conditions.py::test_nothing_is_put_off_for_ever",
    ),
    Mutant(
        "catchup-forgets-since-when-it-waits",
        "R13",
        PROGRESS,
        "    if host.deferred_since is None:\n        store.set_deferred",
        "    if host.deferred_since is not tx:\n        store.set_deferred",
        "unit/catchup/test_conditions.py::test_it_runs_anyway_after_a_day_however_often_the_lid_is_closed",
    ),
    Mutant(
        "catchup-plugging-in-is-not-noticed",
        "R13",
        MACHINE,
        "            store.save_power(tx, event.host_id, _power_of(event))\n            if event",
        "            store.save_power(tx, event.host_id, host.power)\n            if event",
        "unit/catchup/test_conditions.py::test_a_weak_battery_waits_and_plugging_in_releases_it_at_once",
    ),
    Mutant(
        "catchup-waits-for-an-attempt-that-waits-for-it",
        "R12",
        "services/catchup/outcomes.py",
        "    if host is not None and host.session == run.arm_id:\n",
        "    if host is not None:\n",
        f"{OF_MACHINE}::test_r12_a_failure_that_a_later_arm_waited_for_keeps_it_waiting_no_longer",
    ),
    Mutant(
        "catchup-end-of-an-older-session-counts",
        "R3 R12",
        MACHINE,
        "        if host is None or host.session != event.session or not host.online:\n"
        "            return\n        store.end_session",
        "        if host is None or not host.online:\n"
        "            return\n        store.end_session",
        f"{OF_MACHINE}::test_r12_dropped_when_offline_and_armed_by_the_next_hello",
    ),
)

PAIRS = (
    Mutant(
        "catchup-runs-what-is-covered",
        "R13",
        POLICY,
        "        return PairVerdict.COVERED_BY\n",
        "        pass\n",
        f"{OF_POLICY}::test_r13_r14_pair",
    ),
    Mutant(
        "catchup-success-before-the-arm-covers",
        "R13",
        POLICY,
        "if pair.last_success is not None and pair.last_success > armed_at:",
        "if pair.last_success is not None and pair.last_success >= armed_at:",
        f"{OF_POLICY}::test_r13_r14_pair",
    ),
    Mutant(
        "catchup-runs-disabled-schedules",
        "R13",
        POLICY,
        "if not schedule.enabled or schedule.catch_up is CatchUp.OFF:",
        "if schedule.catch_up is CatchUp.OFF:",
        f"{OF_POLICY}::test_r13_r14_pair",
    ),
    Mutant(
        "catchup-runs-a-group-that-is-gone",
        "R13",
        POLICY,
        "if not linked or find_group(record, pair.source_group_id) is None:",
        "if not linked:",
        f"{OF_POLICY}::test_r13_r14_pair",
    ),
    Mutant(
        "catchup-list-is-not-judged-again",
        "R13",
        PROGRESS,
        "    verdict = policy.assess_pair(host.record, pair, armed_at=arm.armed_at, now=tx.now)\n"
        "    fire",
        "    verdict = PairVerdict.OVERDUE\n    fire",
        f"{OF_MACHINE}::test_r13_a_success_later_than_the_arm_covers",
    ),
    Mutant(
        "catchup-one-more-than-the-cap",
        "R13",
        POLICY,
        "    if slots.fleet >= slots.fleet_cap:\n",
        "    if slots.fleet > slots.fleet_cap:\n",
        f"{OF_POLICY}::test_r13_admission",
    ),
    Mutant(
        "catchup-a-full-repository-blocks-the-queue",
        "R13",
        POLICY,
        "            return queued\n    return None\n",
        "            return queued\n        return None\n    return None\n",
        f"{OF_POLICY}::test_r13_admission",
    ),
    Mutant(
        "catchup-asks-for-a-later-fire",
        "R15",
        POLICY,
        "time = cron.previous_fire(schedule.cron, now, zone)",
        "time = cron.next_fire(schedule.cron, now, zone)",
        f"{OF_POLICY}::test_r14_r15_latest_fire",
    ),
    Mutant(
        "a-rebuild-forgets-what-was-asked-for-by-hand",
        "R18",
        "services/jobs/machine.py",
        "            JobRequested: redo.on_requested,\n",
        "",
        "simulation/test_rebuild.py::test_jobs_are_rebuilt_as_they_were",
    ),
    Mutant(
        "a-rebuild-knows-no-host-that-is-older-than-the-log",
        "R18",
        "libs/common/loop/rebuild.py",
        "{HOSTS: _enrolled_before(now, hosts)}",
        "{}",
        "simulation/test_rebuild.py::test_catchups_of_hosts_that_are_older_than_the_log_are_rebuilt",
    ),
    Mutant(
        "a-rebuild-ends-the-arm-that-followed",
        "R18",
        "services/catchup/decided.py",
        "    return arm if arm is not None and arm.arm_id == event.arm_id else None\n",
        "    return arm\n",
        OF_REBUILD,
    ),
    Mutant(
        "a-rebuild-asks-for-the-whole-list-again",
        "R13",
        MACHINE,
        "            CatchupRequested: redo.on_requested,\n",
        "",
        OF_REBUILD,
    ),
    Mutant(
        "catchup-asks-and-nobody-can-find-why",
        "R19",
        "services/catchup/decided.py",
        '        "catchup_requested",\n',
        '        "",\n',
        f"{OF_MACHINE}::test_r14_many_missed_windows_are_one_run",
    ),
)

CRON_RULES = (
    Mutant(
        "cron-due-now-is-not-overdue",
        "R14",
        CRON,
        "return due is not None and due <= now",
        "return due is not None and due < now",
        f"{OF_CRON}::test_r14_overdue",
    ),
    Mutant(
        "cron-never-backed-up-is-not-overdue",
        "R14",
        CRON,
        "            validate(expression)\n            return True\n",
        "            validate(expression)\n            return False\n",
        f"{OF_CRON}::test_r14_overdue",
    ),
    Mutant(
        "cron-day-and-weekday-ored",
        "R14",
        CRON,
        'days_anded = fields[2].startswith("*") or fields[4].startswith("*")',
        'days_anded = fields[2] == "*" or fields[4] == "*"',
        f"{OF_CRON}::test_a_bad_expression_is_refused_in_one_sentence",
    ),
    Mutant(
        "cron-fires-in-the-second-pass-of-a-repeated-hour",
        "R14 R15",
        CRON,
        "    if moments:\n        return moments[0]\n",
        "    if moments:\n        return moments[-1]\n",
        f"{OF_CRON}::test_days_of_change",
    ),
    Mutant(
        "cron-skipped-minute-fires-late",
        "R14",
        CRON,
        "    return _change_between(early, late, zone)\n\n\nclass",
        "    return late\n\n\nclass",
        f"{OF_CRON}::test_days_of_change",
    ),
)

MUTANTS = (*ARMS, *PAIRS, *CRON_RULES)
