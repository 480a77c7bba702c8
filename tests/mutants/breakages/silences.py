"""Silences: of which alerts nobody is told, and what is told when they end."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/alerting/policy_silence.py"
ALERTS = "services/alerting/alerts.py"
HOSTS = "services/alerting/hosts.py"
OF_SPANS = "unit/alerting/test_policy_silence.py"
OF_SILENCES = "unit/alerting/test_silences.py"
OF_TELLING = "unit/notify/test_silences.py"

MUTANTS = (
    Mutant(
        "silences-forget-a-begin-that-the-clock-repeats",
        "R7",
        "services/alerting/coverage.py",
        "    if current:\n        expect_change(tx, current)\n",
        "",
        "unit/alerting/test_silences.py::"
        "test_a_silence_covers_what_is_raised_in_time_that_the_clock_repeats",
    ),
    Mutant(
        "silence-still-covers-at-its-end",
        "silences",
        POLICY,
        "    if now >= span.ends_at:\n",
        "    if now > span.ends_at:\n",
        f"{OF_SPANS}::test_when_it_covers",
    ),
    Mutant(
        "silence-begins-a-tick-late",
        "silences",
        POLICY,
        "SilenceState.SCHEDULED if now < span.begins_at else",
        "SilenceState.SCHEDULED if now <= span.begins_at else",
        f"{OF_SPANS}::test_when_it_covers",
    ),
    Mutant(
        "silence-of-a-tag-covers-every-host",
        "silences",
        POLICY,
        "        return SilenceVerdict.OTHER_TAG\n",
        "        pass\n",
        f"{OF_SPANS}::test_whom_it_covers",
    ),
    Mutant(
        "silence-of-a-host-covers-every-kind",
        "silences",
        POLICY,
        "        return SilenceVerdict.OTHER_KIND\n",
        "        pass\n",
        f"{OF_SPANS}::test_whom_it_covers",
    ),
    Mutant(
        "silence-that-ends-now-may-be-made",
        "silences",
        POLICY,
        "    if span.ends_at <= now:\n",
        "    if span.ends_at < now:\n",
        f"{OF_SPANS}::test_span_of_a_new_silence",
    ),
    Mutant(
        "silence-without-an-end",
        "silences",
        "services/alerting/silence_requests.py",
        '        raise BadInput("say until when, or for how long: one of the two")\n',
        "        return Span(begins_at, ends_at or begins_at + LONGEST)\n",
        f"{OF_SILENCES}::test_bad_input_is_one_clear_error",
    ),
    Mutant(
        "silence-ends-and-nobody-looks",
        "silences deadlines",
        "services/alerting/coverage.py",
        "        tx.schedule(DEADLINE, ALL, at)\n",
        "        pass\n",
        f"{OF_SILENCES}::test_raised_while_silenced_and_told_at_the_end",
    ),
    Mutant(
        "silence-is-not-looked-at-when-an-alert-is-raised",
        "silences",
        ALERTS,
        "    cover = coverage.find_cover_of_new(tx, finding)\n",
        "    cover = None\n",
        f"{OF_SILENCES}::test_raised_while_silenced_and_told_at_the_end",
    ),
    Mutant(
        "silence-follows-no-tags",
        "silences",
        HOSTS,
        "            tx.schedule(coverage.DEADLINE, after.id, tx.now)\n",
        "            pass\n",
        f"{OF_SILENCES}::test_by_tag_and_the_tags_change",
    ),
    Mutant(
        "silence-is-lost-in-a-rebuild",
        "silences R19",
        "services/alerting/silences.py",
        "        store.save_silence(tx, silence)\n        tx.schedule(coverage.DEADLINE, coverage.ALL, tx.now)\n",
        "        pass\n",
        f"{OF_SILENCES}::test_r19_a_rebuild_knows_the_same_silences_and_what_they_cover",
    ),
    Mutant(
        "silence-of-long-ago-comes-again",
        "silences R7",
        "services/alerting/follow.py",
        "alert.silence_changes > known.silence_changes:",
        "alert.silence_changes != known.silence_changes:",
        f"{OF_SILENCES}::test_what_comes_again_changes_nothing",
    ),
    Mutant(
        "silence-explains-nothing",
        "silences R19",
        ALERTS,
        '    _decide(tx, alert, "alert_silenced", text, "", silence_id=cover.id, until=until)\n',
        "",
        f"{OF_SILENCES}::test_an_open_alert_is_silenced_at_once_and_every_silence_leaves_its_decision",
    ),
    Mutant(
        "notify-tells-again-after-a-silence",
        "silences R7",
        "services/notify/telling.py",
        "            verdict = Verdict.TOLD_BEFORE\n",
        "            pass\n",
        f"{OF_TELLING}::test_given_up_before_the_silence_not_tried_again_after_it",
    ),
    Mutant(
        "notify-tells-what-is-silenced",
        "silences",
        "services/notify/policy.py",
        "        return Verdict.SILENCED\n",
        "        pass\n",
        f"{OF_TELLING}::test_told_once_when_the_silence_ends",
    ),
    Mutant(
        "notify-tells-after-a-silence-although-an-outage-holds",
        "silences R5",
        "services/notify/policy.py",
        "    if alert.held_by is not None:\n        return Verdict.HELD\n",
        "    if alert.held_by is not None and not alert.silence_changes:\n"
        "        return Verdict.HELD\n",
        f"{OF_TELLING}::test_held_by_an_outage_too_it_is_told_when_the_later_lets_go",
    ),
    Mutant(
        "notify-told-by-the-end-of-an-old-silence",
        "silences R7",
        "services/notify/policy.py",
        "alert.silence_changes > known.silence_changes",
        "alert.silence_changes != known.silence_changes",
        f"{OF_TELLING}::test_an_old_end_of_a_silence_does_not_end_the_present_one",
    ),
    Mutant(
        "ui-shows-an-old-silence",
        "silences",
        "services/ui/store_alerts.py",
        " or alert.silence_changes < silence_changes:",
        ":",
        "unit/ui/test_machine.py::test_an_old_fact_about_a_silence_changes_nothing",
    ),
    Mutant(
        "silence-weekly-covers-all-week",
        "silences",
        POLICY,
        "    if weekly is not None and end_of_window(weekly, now) is None:\n",
        "    if weekly is not None and now < span.begins_at:\n",
        f"{OF_SPANS}::test_a_weekly_silence_covers_within_its_windows",
    ),
    Mutant(
        "silence-weekly-is-not-looked-at-again",
        "silences deadlines",
        POLICY,
        "(silence.span.begins_at, silence.span.ends_at, *_boundary(silence, now))",
        "(silence.span.begins_at, silence.span.ends_at)",
        f"{OF_SILENCES}::test_a_weekly_silence_comes_and_goes_until_it_is_ended",
    ),
    Mutant(
        "silence-open-ended-without-being-weekly",
        "silences",
        "services/alerting/silence_requests.py",
        '        raise BadInput("only a weekly silence may go on until it is ended")\n',
        "        return FOREVER\n",
        f"{OF_SILENCES}::test_a_weekly_silence_is_never_open_ended_by_accident",
    ),
    Mutant(
        "silence-weekly-by-the-second-pass",
        "silences",
        "libs/common/cron.py",
        "    return _fixed_moment(wall, zone)\n",
        "    return wall.replace(tzinfo=zone, fold=1).astimezone(UTC)\n",
        "unit/test_weekly.py::test_nights_when_clocks_change",
    ),
)
