"""Notify: each message once, in order, to who wants it, and to nowhere inside: R5, R7, R18, R20."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/notify/policy.py"
QUEUE = "services/notify/queue.py"
OF_POLICY = "unit/notify/test_policy.py"
OF_DELIVERIES = "unit/notify/test_deliveries.py"
OF_OUTAGE = "unit/notify/test_outage.py"
OF_TARGETS = "unit/notify/test_targets.py"

MUTANTS = (
    Mutant(
        "notify-tells-what-an-outage-holds-back",
        "R5",
        POLICY,
        "    if alert.held_by is not None:\n        return Verdict.HELD\n",
        "",
        f"{OF_POLICY}::test_who_is_told",
    ),
    Mutant(
        "notify-recovery-of-who-was-never-told-of",
        "R5 R7",
        "services/notify/telling.py",
        "            told = queue.is_told(tx, channel.id, alert.id)\n            told = told or",
        "            told = True\n            told = told or",
        f"{OF_OUTAGE}::test_all_are_back_one_message_says_so",
    ),
    Mutant(
        "notify-an-outage-passes-every-filter",
        "R5",
        POLICY,
        "    if not about:\n        return Verdict.TOLD\n",
        "    if len(about) != 1:\n        return Verdict.TOLD\n",
        f"{OF_POLICY}::test_who_hears_of_a_mass_outage",
    ),
    Mutant(
        "notify-an-outage-that-takes-more-hosts-is-not-told-to-theirs",
        "R5",
        "services/notify/telling.py",
        "        if alert.held_by is not None:\n            self._tell",
        "        if alert.held_by == alert.id:\n            self._tell",
        f"{OF_OUTAGE}::test_a_channel_hears_of_an_outage_as_soon_as_it_takes_a_host_of_theirs",
    ),
    Mutant(
        "notify-names-hosts-of-others-at-the-end-of-an-outage",
        "R5",
        "services/notify/telling.py",
        "outage, _of_theirs(tx, channel, still_away))",
        "outage, list(still_away))",
        f"{OF_OUTAGE}::test_hosts_of_others_are_not_named_to_a_channel_whose_own_are_back",
    ),
    Mutant(
        "notify-resolve-overtakes-its-raise",
        "effects",
        "services/notify/delivering.py",
        "    if queue.is_blocked(tx, delivery.place):\n        queue.set",
        "    if delivery.place < 0:\n        queue.set",
        f"{OF_DELIVERIES}::test_one_alert_keeps_its_order_while_others_pass",
    ),
    Mutant(
        "notify-another-id-for-each-try",
        "R18 effects",
        POLICY,
        ':{rung}"))',
        ':{rung}" + __import__("secrets").token_hex()))',
        f"{OF_POLICY}::test_the_id_of_a_delivery_follows_from_the_fact",
    ),
    Mutant(
        "notify-delivered-is-sent-again-after-a-restore",
        "R18 effects",
        "services/notify/delivering.py",
        "        finish(tx, [delivery], State.DELIVERED)\n    hand_out",
        "        pass\n    hand_out",
        f"{OF_DELIVERIES}::test_r18_the_log_may_know_an_end_that_our_file_does_not",
    ),
    Mutant(
        "notify-gives-up-a-tick-late",
        "R18",
        POLICY,
        "    if now >= first_tried_at + TRY_FOR:\n",
        "    if now > first_tried_at + TRY_FOR:\n",
        f"{OF_POLICY}::test_tries_end_after_a_day",
    ),
    Mutant(
        "notify-busy-receiver-taken-for-a-refusal",
        "R18",
        POLICY,
        "_TRY_AGAIN = frozenset({408, 429})",
        "_TRY_AGAIN = frozenset({408})",
        f"{OF_POLICY}::test_what_an_answer_means",
    ),
    Mutant(
        "notify-fails-and-the-host-shows-no-decision",
        "R19",
        "services/notify/delivering.py",
        '        _host_of(tx, delivery), "notification_failed",\n',
        '        "", "notification_failed",\n',
        f"{OF_DELIVERIES}::test_after_a_day_of_tries_it_is_given_up_visibly",
    ),
    Mutant(
        "notify-reaches-private-addresses",
        "R20",
        "services/notify/target_rules.py",
        "return address.is_global and not (",
        "return address.is_global or not (",
        f"{OF_TARGETS}::test_private_addresses_are_refused",
    ),
    Mutant(
        "notify-ipv4-in-ipv6-gets-through",
        "R20",
        "services/notify/target_rules.py",
        "    address = _inner(address)\n",
        "",
        f"{OF_TARGETS}::test_private_addresses_are_refused",
    ),
    Mutant(
        "notify-connects-to-an-address-that-was-not-judged",
        "R20",
        "services/notify/targets.py",
        "vetted = [address for address in found if is_allowed(address, self._allowed)]",
        "vetted = list(found) if is_allowed(found[-1], self._allowed) else []",
        f"{OF_TARGETS}::test_only_the_allowed_of_a_name_s_addresses_are_used",
    ),
)
