"""The gateway: sessions, silence, and reports that are acknowledged: R3, R10, R18."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/gateway/policy.py"
SESSIONS = "services/gateway/sessions.py"
OF_POLICY = "unit/gateway/test_policy.py"
OF_SESSIONS = "unit/gateway/test_sessions.py"
OF_REPORTS = "unit/gateway/test_reports.py"
OF_OUTAGES = "integration/gateway/test_outages.py"
OF_HOSTS = "unit/gateway/test_hosts.py"

MUTANTS = (
    Mutant(
        "gateway-silence-half-as-long",
        "R3",
        POLICY,
        "return max(last_seen, listening_since) + offline_after",
        "return max(last_seen, listening_since) + offline_after / 2",
        f"{OF_POLICY}::test_r3_when_silence_ends_a_session",
    ),
    Mutant(
        "gateway-silence-before-we-listened-counts",
        "R10",
        POLICY,
        "return max(last_seen, listening_since) + offline_after",
        "return last_seen + offline_after",
        f"{OF_POLICY}::test_r3_when_silence_ends_a_session",
    ),
    Mutant(
        "gateway-who-outlives-a-blackout-is-not-told-of",
        "R6",
        "services/gateway/machine.py",
        "        store.doubt_synced(tx.db)\n",
        "",
        f"{OF_SESSIONS}::"
        "test_r6_a_session_that_outlives_a_blackout_tells_that_its_reports_are_here",
    ),
    Mutant(
        "gateway-reports-are-here-while-some-are-not-stored",
        "R6",
        SESSIONS,
        "for one in heard if not one.is_behind]",
        "for one in heard]",
        f"{OF_SESSIONS}::"
        "test_r6_a_session_that_outlives_a_blackout_tells_that_its_reports_are_here",
    ),
    Mutant(
        "gateway-frames-do-not-move-the-end",
        "R3",
        "services/gateway/store.py",
        '"UPDATE session SET last_seen = max(last_seen, ?) "',
        '"UPDATE session SET last_seen = min(last_seen, ?) "',
        f"{OF_SESSIONS}::test_r3_frames_move_the_end",
    ),
    Mutant(
        "gateway-own-stall-taken-for-silence",
        "R10",
        "services/gateway/machine.py",
        "        if self._listens_anew(tx):\n            return\n",
        "",
        f"{OF_SESSIONS}::test_r10_a_stall_is_no_silence_of_the_agents",
    ),
    Mutant(
        "gateway-smaller-counter-wins",
        "R3",
        POLICY,
        "return HelloVerdict.LARGER if connection > known.connection else HelloVerdict.SMALLER",
        "return HelloVerdict.LARGER",
        f"{OF_POLICY}::test_r3_which_connection_is_newer",
    ),
    Mutant(
        "gateway-refused-hello-ends-the-session",
        "R3",
        SESSIONS,
        "        assert known is not None\n",
        "        assert known is not None\n        store.end_session(tx.db, host_id)\n",
        f"{OF_SESSIONS}::test_r3_a_refused_hello_replaces_nothing",
    ),
    Mutant(
        "gateway-session-of-frames-not-checked",
        "R3",
        "services/gateway/reports.py",
        "if session is None or session.session != session_id or not session.live:",
        "if session is None or not session.live:",
        f"{OF_REPORTS}::test_frames_of_an_ended_session_are_not_acknowledged",
    ),
    Mutant(
        "gateway-goodbye-waits-for-silence",
        "R3",
        "services/gateway/reports.py",
        "    sessions.go_offline(tx, session, event)\n",
        "    assert event\n",
        f"{OF_REPORTS}::test_what_follows_a_goodbye_is_ignored",
    ),
    Mutant(
        "gateway-report-published-twice",
        "R18",
        POLICY,
        "return ReportVerdict.NEW if seq > last_seq else ReportVerdict.REPEATED",
        "return ReportVerdict.NEW if seq >= last_seq else ReportVerdict.REPEATED",
        f"{OF_POLICY}::test_which_reports_are_new",
    ),
    Mutant(
        "gateway-repeated-report-not-acknowledged",
        "R18",
        "services/gateway/reports.py",
        "        taken.ack = max(taken.ack or 0, spool.last_seq)\n",
        "",
        f"{OF_REPORTS}::test_r18_a_report_is_published_once_and_acknowledged_again",
    ),
    Mutant(
        "gateway-acknowledges-what-it-does-not-keep",
        "R18",
        "services/gateway/reports.py",
        "        store.put_spool(tx.db, session.host_id, session.spool_id, progress.spool, tx.now)\n",
        "        pass\n",
        f"{OF_REPORTS}::test_r18_a_report_is_published_once_and_acknowledged_again",
    ),
    Mutant(
        "gateway-acknowledges-before-it-is-durable",
        "R18",
        "services/gateway/intake.py",
        "                taken = await self._publish(connection, batch)\n",
        '                await connection.send(Ack(seq=getattr(batch[-1].frame, "seq", 0)))\n'
        "                taken = await self._publish(connection, batch)\n",
        f"{OF_OUTAGES}::test_r18_a_report_is_acknowledged_once_it_is_in_the_log",
    ),
    Mutant(
        "gateway-welcomes-before-the-hello-is-durable",
        "R18",
        "services/gateway/agents.py",
        "            decided = await self._decide(self._as_of_now(connection, offer))\n",
        "            await self._welcome(connection, behind=False)\n"
        "            decided = await self._decide(self._as_of_now(connection, offer))\n",
        f"{OF_OUTAGES}::test_r18_a_hello_is_welcomed_once_it_is_in_the_log",
    ),
    Mutant(
        "gateway-synced-too-early",
        "R12 R6",
        POLICY,
        "return sync_seq == 0 or last_seq >= sync_seq",
        "return sync_seq == 0 or last_seq >= sync_seq - 1",
        f"{OF_POLICY}::test_when_a_spool_is_synced",
    ),
    Mutant(
        "gateway-last-seen-written-by-the-minute",
        "R18",
        "services/gateway/settings.py",
        "LONGEST_PULSE_INTERVAL = timedelta(seconds=10)",
        "LONGEST_PULSE_INTERVAL = timedelta(seconds=60)",
        "unit/gateway/test_shell.py::test_r18_last_seen_is_written_every_ten_seconds_or_sooner",
    ),
    Mutant(
        "gateway-old-token-speaks-on",
        "R20",
        "services/gateway/machine.py",
        "            store_hosts.forget_tokens(tx.db, event.host_id, below=event.token_version)\n",
        "            pass\n",
        f"{OF_HOSTS}::test_r20_a_new_token_in_use_ends_the_older_ones",
    ),
    Mutant(
        "gateway-enrolling-is-tried-for-ever",
        "R20",
        POLICY,
        "return FAILED_TRIES - sum(",
        "return FAILED_TRIES - 0 * sum(",
        f"{OF_POLICY}::test_failed_tries_to_enroll",
    ),
)
