"""Channels: their kinds, when they may be told, and what is told in one message afterwards."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

WEEKLY = "libs/common/weekly.py"
PACE = "services/notify/policy_pace.py"
PACING = "services/notify/pacing.py"
OF_PACE = "unit/notify/test_policy_pace.py"
OF_DIGESTS = "unit/notify/test_digests.py"
OF_REPEATING = "unit/notify/test_repeating.py"
OF_KINDS = "unit/notify/test_kinds.py"
OF_WORDS = "unit/notify/test_words.py"

MUTANTS = (
    Mutant(
        "pace-still-quiet-at-its-end",
        "pace",
        WEEKLY,
        "for begin, end in windows if begin <= now < end",
        "for begin, end in windows if begin <= now <= end",
        f"{OF_PACE}::test_when_it_is_quiet_and_until_when",
    ),
    Mutant(
        "pace-the-day-is-that-of-the-end",
        "pace",
        WEEKLY,
        "        if DAYS[day.weekday()] in weekly.days:\n",
        "        if DAYS[(day + ONE_DAY * over_night).weekday()] in weekly.days:\n",
        f"{OF_PACE}::test_when_it_is_quiet_and_until_when",
    ),
    Mutant(
        "pace-nothing-breaks-through",
        "pace",
        PACE,
        " and severity not in quiet.breaks_through:",
        ":",
        f"{OF_PACE}::test_whether_news_must_wait",
    ),
    Mutant(
        "pace-one-message-too-many",
        "pace",
        PACE,
        "len(sent) < rate.messages:",
        "len(sent) <= rate.messages:",
        f"{OF_PACE}::test_when_there_is_room",
    ),
    Mutant(
        "pace-overtakes-what-waits-for-room",
        "pace",
        PACE,
        "(room > now or traffic.crowded):",
        "(room > now):",
        f"{OF_PACE}::test_whether_news_must_wait",
    ),
    Mutant(
        "pace-an-end-overtakes-its-beginning",
        "pace R7",
        PACING,
        "    if held is None and is_held(tx, channel.id, alert.id):\n",
        "    if False:\n",
        f"{OF_DIGESTS}::test_what_comes_at_the_very_end_of_quiet_hours_overtakes_nothing",
    ),
    Mutant(
        "pace-says-that-nobody-hears-of-an-end",
        "pace R19",
        "services/notify/telling.py",
        "            told = told or pacing.is_held(tx, channel.id, alert.id)\n",
        "",
        f"{OF_DIGESTS}::test_what_comes_in_quiet_hours_is_one_message_at_their_end",
    ),
    Mutant(
        "pace-held-and-nobody-looks",
        "pace deadlines",
        PACING,
        "    _look_at(tx, channel.id, held.until)\n",
        "",
        f"{OF_DIGESTS}::test_what_comes_in_quiet_hours_is_one_message_at_their_end",
    ),
    Mutant(
        "pace-digests-while-it-is-quiet",
        "pace",
        PACING,
        "if quiet is None or _breaks_through(channel, alert)]",
        "if quiet is None or alert]",
        f"{OF_DIGESTS}::test_changed_hours_count_at_once",
    ),
    Mutant(
        "pace-digests-what-a-silence-covers",
        "pace silences",
        PACING,
        "    return not covered or queue",
        "    return True or covered or queue",
        f"{OF_DIGESTS}::test_what_a_silence_covers_meanwhile_is_told_when_that_ends",
    ),
    Mutant(
        "pace-who-was-in-a-digest-counts-as-untold",
        "pace R7",
        "services/notify/policy.py",
        "News.SUMMARY, News.DIGEST})",
        "News.SUMMARY})",
        f"{OF_DIGESTS}::test_what_the_digest_named_is_followed_up",
    ),
    Mutant(
        "pace-says-nothing-of-why",
        "pace R19",
        "services/notify/telling.py",
        " * bool(told) + later or ",
        " * bool(told) or ",
        f"{OF_DIGESTS}::test_what_comes_in_quiet_hours_is_one_message_at_their_end",
    ),
    Mutant(
        "repeats-only-once",
        "effects deadlines",
        "services/notify/repeating.py",
        "policy.explain_failure(result, ending))\n    _look_later(tx, channel_id)\n",
        "policy.explain_failure(result, ending))\n",
        f"{OF_REPEATING}::test_what_is_open_is_told_again_every_minute_until_it_ends",
    ),
    Mutant(
        "repeats-what-is-over",
        "effects R7",
        "services/notify/queue.py",
        "WHERE alert.resolved_at IS NULL ",
        "WHERE true ",
        f"{OF_REPEATING}::test_what_is_open_is_told_again_every_minute_until_it_ends",
    ),
    Mutant(
        "kind-shows-its-secret",
        "R20",
        "services/notify/kinds/base.py",
        "exclude=set(self.secrets), exclude_none=True",
        "exclude_none=True",
        f"{OF_KINDS}::test_r20_a_kind_shows_where_it_leads_and_never_its_secret",
    ),
    Mutant(
        "kind-judges-no-address-when-it-is-made",
        "R20",
        "services/notify/configs.py",
        "if address is not None and not is_allowed(address, allowed):",
        "if False:",
        f"{OF_KINDS}::test_a_wrong_config_is_one_clear_error_without_the_secret",
    ),
    Mutant(
        "a-changed-address-is-not-used",
        "effects",
        "services/notify/shelf.py",
        "if item is None or not item.is_fresh:",
        "if item is None:",
        "unit/notify/test_shelf.py::test_what_lay_too_long_is_read_again",
    ),
    Mutant(
        "mail-sends-a-password-in-the-clear",
        "R20",
        "services/notify/kinds/smtp.py",
        'if self.password is not None and self.security == "none":',
        "if False:",
        f"{OF_KINDS}::test_a_wrong_config_is_one_clear_error_without_the_secret",
    ),
    Mutant(
        "mail-of-an-alert-is-no-thread",
        "effects",
        "services/notify/kinds/mail.py",
        "    return f\"alert.{body['alerts'][0]['id']}\"\n",
        "    return f\"alert.{body['id']}\"\n",
        f"{OF_WORDS}::test_all_mails_of_an_alert_are_one_thread",
    ),
)
