"""Alerting: who is told of what, and who is left in peace: R4 to R10."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/alerting/policy.py"
HOSTS = "services/alerting/hosts.py"
ALERTS = "services/alerting/alerts.py"
JOBS = "services/alerting/jobs.py"
CONDITIONS = "services/alerting/conditions.py"
OF_POLICY = "unit/alerting/test_policy.py"
OF_OFFLINE = "unit/alerting/test_r4_r5_offline.py"
OF_STALE = "unit/alerting/test_r6_stale.py"
OF_JOBS = "unit/alerting/test_r9_jobs.py"
OF_OUTAGE = "unit/alerting/test_policy_outage.py"

SILENCE = (
    Mutant(
        "alerting-takes-the-loss-of-the-log-for-a-blackout",
        "R6 R10",
        "services/alerting/watch.py",
        "heard_at = max(since, store.get_listened_until(tx) or since)",
        "heard_at = since",
        "unit/alerting/test_start.py::"
        "test_r6_a_log_that_is_lost_is_as_long_a_blackout_as_nobody_listened",
    ),
    Mutant(
        "alerting-misses-sleeping-laptops",
        "R4",
        POLICY,
        "    if not host.always_on:\n        return OfflineVerdict.INTERMITTENT\n",
        "",
        f"{OF_POLICY}::test_r4_r5_who_is_missed",
    ),
    Mutant(
        "alerting-offline-a-tick-after-the-floor",
        "R5",
        POLICY,
        "OfflineVerdict.DUE if now - start >= host.floor else",
        "OfflineVerdict.DUE if now - start > host.floor else",
        f"{OF_POLICY}::test_r5_floor",
    ),
    Mutant(
        "alerting-misses-who-was-never-seen",
        "R5",
        POLICY,
        "        return OfflineVerdict.NEVER_SEEN\n",
        "        since = watch.period_start or now\n"
        "        never = now - since < host.floor\n"
        "        return OfflineVerdict.NEVER_SEEN if never else OfflineVerdict.DUE\n",
        f"{OF_POLICY}::test_r4_r5_who_is_missed",
    ),
    Mutant(
        "alerting-back-but-still-missed",
        "R5",
        HOSTS,
        '        alerts.end(tx, host, OFFLINE, ResolveReason.HOST_RETURNED, rule="R5")\n',
        "",
        f"{OF_OFFLINE}::test_r5_back_resolves",
    ),
    Mutant(
        "alerting-loss-of-its-gateway-does-not-count",
        "R5",
        POLICY,
        "max(host.last_seen, watch.period_start, host.gateway_lost_at or host.last_seen)",
        "max(host.last_seen, watch.period_start)",
        f"{OF_POLICY}::test_r5_r10_silence_counts_from_the_latest",
    ),
    Mutant(
        "alerting-end-of-an-older-session-counts",
        "R3 R5",
        HOSTS,
        "        if host is None or host.session != event.session:\n            return\n"
        "        noticed",
        "        if host is None:\n            return\n        noticed",
        f"{OF_OFFLINE}::test_r3_the_end_of_an_older_session_says_nothing",
    ),
    Mutant(
        "alerting-outage-of-four-hosts",
        "R5",
        "services/alerting/policy_outage.py",
        "    if gone < AT_LEAST_HOSTS:\n",
        "    if gone < AT_LEAST_HOSTS - 1:\n",
        f"{OF_OUTAGE}::test_r5_mass_outage",
    ),
    Mutant(
        "alerting-outage-over-at-ten-percent",
        "R5",
        "services/alerting/policy_outage.py",
        "few = outage.away * 100 < outage.members * FEW_PERCENT",
        "few = outage.away * 100 <= outage.members * FEW_PERCENT",
        f"{OF_OUTAGE}::test_r5_release",
    ),
    Mutant(
        "alerting-blackout-ages-hosts",
        "R10",
        POLICY,
        "    if host.last_seen is None or watch.period_start is None:\n        return None\n"
        "    return max(host.last_seen, watch.period_start,",
        "    if host.last_seen is None or watch.period_start is None:\n        return None\n"
        "    return max(host.last_seen,",
        f"{OF_POLICY}::test_r5_r10_silence_counts_from_the_latest",
    ),
    Mutant(
        "alerting-raises-while-it-reads-a-backlog",
        "R10",
        CONDITIONS,
        '        tx.schedule(OFFLINE, host.id, at)\n        text = f"offline;',
        '        self._raise_offline(tx, host, sight)\n        text = f"offline;',
        "unit/alerting/test_r10_listening.py::test_r10_a_new_period_counts_from_its_start",
    ),
    Mutant(
        "alerting-crash-of-a-gateway-is-no-break",
        "R10",
        "services/alerting/watch.py",
        "            self._was_gone(tx, known.heard_at, since, others_since)  # Without a word.\n",
        "            pass\n",
        "unit/alerting/test_r10_listening.py::test_r10_an_interruption_without_a_word_begins_a_new_period",
    ),
    Mutant(
        "deaf-until-a-clock-catches-up",
        "R5",
        "libs/common/periods.py",
        "since != known_since and known_since > now + SKEW",
        "False",
        "unit/alerting/test_r10_listening.py::"
        "test_r5_a_gateway_whose_clock_was_ahead_by_a_day_listens_once_it_is_right",
    ),
    Mutant(
        "old-news-of-a-gateway-is-news-where-clocks-differ",
        "R10",
        "libs/common/periods.py",
        "known_since > now + SKEW",
        "known_since > now",
        "unit/alerting/test_r10_listening.py::test_r10_old_news_of_a_gateway_change_nothing",
    ),
    Mutant(
        "alerting-first-gateway-speaks-for-all",
        "R10",
        "services/alerting/watch.py",
        "            if store.is_any_awaited(tx):\n",
        "            if False:\n",
        "unit/alerting/test_r10_listening.py::test_r10_the_first_gateway_to_return_does_not_speak_for_the_other",
    ),
    Mutant(
        "alerting-lost-gateway-covers-time-in-which-nobody-heard-it",
        "R10",
        "services/alerting/watch.py",
        "max(event.heard_at or lost_at - self._lost_after, known.heard_at)",
        "max(lost_at - self._lost_after, known.heard_at)",
        "unit/alerting/test_r10_listening.py::"
        "test_r10_a_gateway_that_does_not_return_covers_no_time_in_which_nobody_heard_it",
    ),
    Mutant(
        "alerting-hears-no-hello-of-an-awaited-gateway",
        "R10",
        "services/alerting/store_sessions.py",
        "AND awaited_until IS NULL AND heard_at",
        "AND heard_at",
        "unit/alerting/test_r10_listening.py::"
        "test_r10_a_hello_through_the_awaited_gateway_is_a_sign_of_its_life",
    ),
    Mutant(
        "alerting-hears-no-hello-of-a-stopped-gateway",
        "R10",
        "services/alerting/store_sessions.py",
        "AND state = 'listening' ",
        "",
        "unit/alerting/test_r10_listening.py::"
        "test_r10_a_hello_through_a_gateway_that_stopped_a_moment_ago",
    ),
    Mutant(
        "alerting-awaits-reports-that-are-here",
        "R6",
        "services/alerting/store_watch.py",
        '"UPDATE host SET synced_gate = ? WHERE synced_at >= ?"',
        '"UPDATE host SET synced_gate = ? WHERE synced_at > ? AND 0"',
        "unit/alerting/test_r10_listening.py::"
        "test_r6_who_was_heard_before_the_blackout_is_known_is_not_awaited_after_it",
    ),
)

STALENESS = (
    Mutant(
        "alerting-stale-a-tick-after-the-threshold",
        "R6",
        POLICY,
        "stale = now - host.last_success_at >= host.stale_after",
        "stale = now - host.last_success_at > host.stale_after",
        f"{OF_POLICY}::test_r6_threshold",
    ),
    Mutant(
        "alerting-servers-go-stale",
        "R6",
        POLICY,
        "    if host.always_on:\n        return StaleVerdict.ALWAYS_ON\n",
        "",
        f"{OF_POLICY}::test_r6_whose_staleness_counts",
    ),
    Mutant(
        "alerting-stale-without-a-schedule",
        "R6",
        POLICY,
        "    if not host.has_schedule:\n        return StaleVerdict.NO_SCHEDULE\n",
        "",
        f"{OF_POLICY}::test_r6_whose_staleness_counts",
    ),
    Mutant(
        "alerting-reports-awaited-a-tick-longer",
        "R6",
        POLICY,
        "return now - watch.gate_since < REPORTS_AWAITED_FOR",
        "return now - watch.gate_since <= REPORTS_AWAITED_FOR",
        f"{OF_POLICY}::test_r6_gate",
    ),
    Mutant(
        "alerting-reports-not-awaited",
        "R6 R10",
        POLICY,
        "        return StaleVerdict.REPORTS_AWAITED\n",
        "        pass\n",
        f"{OF_STALE}::test_r6_after_a_long_blackout_reports_are_awaited_for_24_hours",
    ),
    Mutant(
        "alerting-blackout-of-exactly-offline-after-is-short",
        "R6",
        POLICY,
        "return dark_from is None or until - dark_from >= offline_after",
        "return dark_from is None or until - dark_from > offline_after",
        f"{OF_POLICY}::test_r6_blackout",
    ),
)

LIFE = (
    Mutant(
        "alerting-same-condition-raised-again",
        "R7",
        ALERTS,
        "    if known is not None:\n        return _see_again(tx, known, finding)\n",
        "",
        "unit/alerting/test_lifecycle.py::test_r7_the_same_condition_again_notifies_nobody",
    ),
    Mutant(
        "notify-tells-an-old-fact-again",
        "R7",
        "services/notify/policy.py",
        "        return known is None\n",
        "        return known is not AlertState.RESOLVED\n",
        "unit/notify/test_policy.py::test_r7_an_old_fact_says_nothing_new",
    ),
    Mutant(
        "alerting-mode-change-resolves-nothing",
        "R8 R4",
        HOSTS,
        '            alerts.end(tx, host, kind, ResolveReason.MODE_CHANGED, rule="R8")\n',
        "            pass\n",
        f"{OF_OFFLINE}::test_r8_there_and_back_in_one_backlog",
    ),
    Mutant(
        "alerting-mode-change-raises-nothing",
        "R8",
        HOSTS,
        "            self._change_mode(tx, after)\n",
        "            self._change_mode(tx, after)\n            return\n",
        f"{OF_STALE}::test_r8_turned_intermittent_raises_at_once",
    ),
    Mutant(
        "registry-same-mode-is-a-change",
        "R8",
        "services/registry/policy.py",
        "return ModeVerdict.SAME if record.always_on == always_on else ModeVerdict.CHANGED",
        "return ModeVerdict.CHANGED",
        "unit/registry/test_policy.py::test_r8_only_another_mode_is_a_change",
    ),
    Mutant(
        "alerting-success-leaves-the-failure-open",
        "R9",
        JOBS,
        "ENDED_BY_BACKUP = (AlertKind.BACKUP_FAILED, AlertKind.PENDING_RUN_ABANDONED)",
        "ENDED_BY_BACKUP = (AlertKind.PENDING_RUN_ABANDONED,)",
        f"{OF_JOBS}::test_r9_a_failure_is_raised_and_a_success_ends_it",
    ),
    Mutant(
        "alerting-who-outlived-a-blackout-is-awaited-for-a-day",
        "R6",
        "services/alerting/store_sessions.py",
        " OR synced_gate < gate AND ?3 >= gate_since) ",
        ") ",
        f"{OF_STALE}::test_r6_a_session_that_outlived_the_blackout_says_so",
    ),
    Mutant(
        "alerting-success-leaves-staleness-open",
        "R9 R6",
        JOBS,
        '            alerts.end(tx, host, STALE, ResolveReason.BACKUP_SUCCEEDED, rule="R9")\n',
        "",
        f"{OF_STALE}::test_r6_r9_eight_days_raised_once_and_cleared_by_a_backup",
    ),
    Mutant(
        "alerting-remembers-hellos-for-ever",
        "R18",
        "services/alerting/hosts.py",
        "            forget_oldest_sessions(tx.db, host.id)\n",
        "            pass\n",
        f"{OF_OFFLINE}::test_r3_so_many_hellos_are_remembered",
    ),
    Mutant(
        "alerting-who-is-acknowledged-is-not-open",
        "R5 R7",
        "services/alerting/store.py",
        "alert.host_id = host.host_id AND state != 'resolved'",
        "alert.host_id = host.host_id AND state = 'open'",
        "unit/alerting/test_lifecycle.py::test_acknowledged_is_still_open",
    ),
    Mutant(
        "alerting-another-groups-success-counts",
        "R9",
        "services/alerting/store_alerts.py",
        "SELECT body FROM alert WHERE host_id = ? AND kind = ? AND dedup_key = ? ",
        "SELECT body FROM alert WHERE host_id = ? AND kind = ? AND ? IS NOT NULL ",
        f"{OF_JOBS}::test_r9_another_groups_success_ends_nothing",
    ),
    Mutant(
        "warnings-are-no-success",
        "R9 R6 R14",
        "libs/common/events/job.py",
        "SUCCESSES = frozenset({JobStatus.SUCCEEDED, JobStatus.SUCCEEDED_WITH_WARNINGS})",
        "SUCCESSES = frozenset({JobStatus.SUCCEEDED})",
        f"{OF_JOBS}::test_r9_a_success_with_warnings_ends_it",
    ),
    Mutant(
        "alerting-told-although-another-attempt-follows",
        "R9",
        JOBS,
        "        if not last:\n",
        "        if last is None:\n",
        f"{OF_JOBS}::test_r9_while_another_attempt_follows_nothing_is_raised",
    ),
    Mutant(
        "alerting-raises-without-a-decision",
        "R19",
        ALERTS,
        '    _decide(tx, alert, "alert_raised", finding.message, finding.rule, **finding.facts)\n',
        "",
        "unit/alerting/test_r19_explained.py::test_r19_every_evaluation_leaves_a_decision",
    ),
)

MUTANTS = (*SILENCE, *STALENESS, *LIFE)
