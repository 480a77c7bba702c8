"""Mass outages of one site: a tag `site:…`."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/alerting/policy_outage.py"
OUTAGE = "services/alerting/outage.py"
OF_POLICY = "unit/alerting/test_policy_outage.py"
OF_OUTAGE = "unit/alerting/test_outage.py"

MUTANTS = (
    Mutant(
        "site-wins-over-the-fleet",
        "R5",
        POLICY,
        '(one.site != "", -len(one.gone), one.site)',
        '(one.site == "", -len(one.gone), one.site)',
        f"{OF_POLICY}::test_which_mass_outage_explains_a_missed_host",
    ),
    Mutant(
        "site-takes-hosts-of-another-outage",
        "R5",
        OUTAGE,
        "    members = [one for one in mass.gone if rows.find_outage_of(tx, one) is None]\n",
        "    members = list(mass.gone)\n",
        f"{OF_OUTAGE}::test_r5_a_fleets_outage_leaves_a_sites_own_hosts_to_it",
    ),
    Mutant(
        "site-is-any-tag",
        "R5",
        POLICY,
        'SITE = "site:"\n',
        'SITE = ""\n',
        f"{OF_OUTAGE}::test_r5_only_hosts_with_the_tag_count",
    ),
    Mutant(
        "site-outages-share-one-alert",
        "R5 R7",
        OUTAGE,
        "            dedup_key=mass.site,\n",
        "",
        f"{OF_OUTAGE}::test_r5_two_sites_at_once_are_two_outages",
    ),
    Mutant(
        "site-silenced-outage-is-told",
        "silences",
        "services/alerting/coverage.py",
        "        tags = frozenset({site})\n",
        "        pass\n",
        f"{OF_OUTAGE}::test_a_silence_of_the_site_covers_its_outage",
    ),
)
