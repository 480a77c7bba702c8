"""Presence, and what every reader of hellos agrees on: R1, R2, R3."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/presence/policy.py"
SESSIONS = "services/presence/sessions.py"
OF_POLICY = "unit/presence/test_policy.py"
OF_MACHINE = "unit/presence/test_machine.py"
OF_GATEWAYS = "unit/presence/test_gateways.py"

MUTANTS = (
    Mutant(
        "presence-first-gateway-hides-the-blackout",
        "R10",
        POLICY,
        "    start, until = gap.start, gap.end or _FOREVER\n",
        "    heard = list(heard)\n    if any(one.end is None for one in heard):\n"
        "        return []\n    start, until = gap.start, gap.end or _FOREVER\n",
        "unit/presence/test_timeline.py::test_r10_two_gateways_were_away_and_one_returned_first",
    ),
    Mutant(
        "presence-takes-a-restart-for-a-blackout",
        "R10",
        "services/presence/gateways.py",
        "            timeline.save_period(tx, known)\n",
        "            pass\n",
        "unit/presence/test_timeline.py::test_r10_another_gateway_was_restarted_meanwhile",
    ),
    Mutant(
        "host-intermittent-by-default",
        "R1",
        "libs/common/events/host.py",
        "    always_on: bool = True\n",
        "    always_on: bool = False\n",
        "unit/registry/test_policy.py::test_r1_a_host_is_always_on_unless_someone_says_otherwise",
    ),
    Mutant(
        "presence-laptops-do-not-go-offline",
        "R2",
        SESSIONS,
        "elif verdict is EndVerdict.LIVE:",
        "elif verdict is EndVerdict.LIVE and host.always_on:",
        f"{OF_MACHINE}::test_r2_the_mode_changes_nothing_about_being_offline",
    ),
    Mutant(
        "ui-asleep-shown-as-offline",
        "R2",
        "services/ui/policy.py",
        'if status == "offline" and not always_on:',
        'if status == "asleep" and not always_on:',
        "unit/ui/test_policy.py::test_r2_display",
    ),
    Mutant(
        "ui-shows-a-silent-host-that-may-sleep",
        "R4 R8",
        "services/ui/policy.py",
        "        if not host.always_on:\n            return Showing.MAY_SLEEP\n",
        "",
        "unit/ui/test_policy.py::test_what_contradicts_is_not_shown",
    ),
    Mutant(
        "ui-an-old-fact-opens-an-alert-again",
        "R7",
        "services/ui/policy.py",
        "return present is None or STATE_ORDER.index(state) >= STATE_ORDER.index(present)",
        "return present is None or state in STATE_ORDER",
        "unit/ui/test_policy.py::test_r7_an_alert_never_goes_back",
    ),
    Mutant(
        "presence-session-not-checked",
        "R3",
        POLICY,
        "    if current != ended:\n",
        "    if current is None:\n",
        f"{OF_POLICY}::test_r3_end",
    ),
    Mutant(
        "presence-offline-dated-when-noticed",
        "R3",
        POLICY,
        "else last_seen + offline_after\n",
        "else not_after\n",
        f"{OF_POLICY}::test_r3_offline_is_dated_when_it_should_have_happened",
    ),
    Mutant(
        "presence-goodbye-dated-like-silence",
        "R3",
        POLICY,
        "moment = last_seen if reason in _GOODBYES else",
        "moment = last_seen if reason is None else",
        f"{OF_POLICY}::test_r3_offline_is_dated_when_it_should_have_happened",
    ),
    Mutant(
        "hello-with-an-equal-counter-is-newer",
        "R3",
        "libs/common/sessions.py",
        "connection <= current:",
        "connection < current:",
        "unit/test_sessions.py::test_r3_a_hello",
    ),
    Mutant(
        "hello-told-again-is-newer",
        "R3",
        "libs/common/sessions.py",
        "    if known:\n        return HelloVerdict.KNOWN\n",
        "",
        "unit/test_sessions.py::test_r3_a_hello",
    ),
    Mutant(
        "presence-gateway-lost-a-tick-late",
        "R3",
        POLICY,
        "silent_since <= now < silent_since + lost_after",
        "silent_since <= now <= silent_since + lost_after",
        f"{OF_POLICY}::test_r10_gateway",
    ),
    Mutant(
        "presence-takes-every-gateways-hosts-along",
        "R3",
        "services/presence/store.py",
        "\"SELECT host_id FROM host WHERE gateway = ? AND status = 'online' ORDER BY host_id\"",
        "\"SELECT host_id FROM host WHERE ? != '' AND status = 'online' ORDER BY host_id\"",
        f"{OF_GATEWAYS}::test_r3_only_hosts_of_the_lost_gateway_go_offline",
    ),
    Mutant(
        "presence-judges-right-after-its-own-absence",
        "R10",
        POLICY,
        "    if now - due_at > tolerance:\n        return GatewayVerdict.WE_WERE_AWAY\n",
        "",
        f"{OF_POLICY}::test_r10_gateway",
    ),
    Mutant(
        "presence-gives-no-grace-after-a-reconnect",
        "R10 deadlines",
        "services/presence/machine.py",
        "        self._gateways.give_grace(tx)\n",
        "        return\n",
        f"{OF_GATEWAYS}::test_r10_a_gateway_whose_time_was_nearly_up_has_a_full_grace_too",
    ),
    Mutant(
        "presence-last-seen-follows-by-the-minute",
        "R18",
        "services/presence/store.py",
        "[(to_micros(at), host_id, to_micros(at - step)) for host_id in host_ids]",
        "[(to_micros(at), host_id, to_micros(at - 6 * step)) for host_id in host_ids]",
        "unit/presence/test_bucket.py::test_r18_last_seen_follows_the_beats_to_ten_seconds",
    ),
    Mutant(
        "presence-remembers-hellos-for-ever",
        "R18",
        SESSIONS,
        "            forget_oldest_sessions(tx.db, host.id)\n",
        "            pass\n",
        f"{OF_MACHINE}::test_r3_so_many_hellos_are_remembered",
    ),
    Mutant(
        "presence-keeps-a-timeline-for-ever",
        "R18",
        "services/presence/store.py",
        "SELECT min(started_at) FROM interval",
        "SELECT max(started_at) FROM interval",
        "unit/presence/test_timeline.py::test_a_timeline_is_kept_for_so_long",
    ),
    Mutant(
        "presence-puts-an-old-last-seen-after-the-log-is-lost",
        "R18",
        "services/presence/store.py",
        "f\"SELECT {_TRUE} FROM host WHERE status != 'never_seen'",
        "f\"SELECT {_COLUMNS}, NULL FROM host WHERE status != 'never_seen'",
        "unit/presence/test_bucket.py::test_r18_after_a_wiped_log_the_bucket_is_put_again",
    ),
    Mutant(
        "presence-says-nothing-of-a-late-hello",
        "R19",
        SESSIONS,
        "            tx.decide(\n"
        '                host.id, "hello_ignored", '
        '"a late hello of an older connection changes nothing",\n'
        '                rule="R3", session=event.session, connection=event.connection,\n'
        "                live_session=host.session, live_connection=host.connection,\n"
        "            )  # fmt: skip\n",
        "",
        f"{OF_MACHINE}::test_r3_a_late_message_of_an_older_connection_changes_nothing",
    ),
)
