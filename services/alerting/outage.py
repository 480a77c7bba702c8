"""The part of alerting's machine that sees when many hosts went away together.

A short break of the network tells nobody, a long one tells once: while a `fleet_outage` is open,
the single alerts of its hosts exist, but are held back. One of a site (a tag `site:…`) is a
`fleet_outage` too, with the tag as its dedup key.
"""

from __future__ import annotations

from datetime import datetime

from libs.common.events.alert import Alert, AlertKind
from libs.common.loop.tx import Tx
from services.alerting import alerts, policy_outage, store
from services.alerting import store_alerts as rows
from services.alerting.alerts import FLEET, Finding, ResolveReason
from services.alerting.policy_outage import Departure, Outage, ReleaseVerdict
from services.alerting.store import Host
from services.alerting.store_alerts import OutageRow

DEADLINE = "outage"

_REASONS = {
    ReleaseVerdict.ALL_BACK: ResolveReason.ALL_RETURNED,
    ReleaseVerdict.FEW_AWAY: ResolveReason.FEW_AWAY,
    ReleaseVerdict.TOO_LONG: ResolveReason.TOO_LONG,
}


def find_holder(tx: Tx, host: Host) -> str | None:
    """Return the mass outage that holds back the alert of `host`, raising it if this shows it."""
    member_of = rows.find_outage_of(tx, host.id)
    if member_of is not None:
        return member_of
    if host.offline_at is None:
        return None
    whole = _look(tx, host, host.offline_at)
    found = [whole, *(_look(tx, host, host.offline_at, site) for site in _sites(host))]
    mass = policy_outage.choose(found)
    if mass is not None:
        return _raise(tx, mass)
    tx.decide(host.id, "no_outage", whole.verdict.value, gone=len(whole.gone),
              were_online=whole.were_online)  # fmt: skip
    return None


def _sites(host: Host) -> list[str]:
    return [tag for tag in host.tags if tag.startswith(policy_outage.SITE)]


def _look(tx: Tx, host: Host, offline_at: datetime, site: str = "") -> Departure:
    """Return who left together with `host`, of the fleet or of one site."""
    since, until = offline_at - policy_outage.WINDOW, offline_at + policy_outage.WINDOW
    not_counted = frozenset(str(reason) for reason in policy_outage.NOT_COUNTED)
    gone = store.list_gone(tx, since, until, not_counted, site)
    were_online = store.count_online_between(tx, since, offline_at, site)
    verdict = policy_outage.assess_outage(host.offline_reason, len(gone), were_online)
    return Departure(site, tuple(gone), were_online, verdict)


def _raise(tx: Tx, mass: Departure) -> str:
    """Hold back all who left together, but for those whom another mass outage has already."""
    members = [one for one in mass.gone if rows.find_outage_of(tx, one) is None]
    alert = alerts.raise_alert(
        tx,
        Finding(
            kind=AlertKind.FLEET_OUTAGE,
            message=policy_outage.outage_message(mass),
            rule="R5",
            host_name=FLEET,
            dedup_key=mass.site,
            facts={"hosts": members, "were_online": mass.were_online, "site": mass.site or None},
        ),
    )
    if rows.find_outage(tx, alert.id) is None:
        restore(tx, alert)
    rows.add_members(tx, alert.id, members)
    return alert.id


def restore(tx: Tx, alert: Alert) -> None:
    """Begin to follow a mass outage that has been raised; hosts may be back already."""
    rows.save_outage(tx, OutageRow(alert.id, alert.raised_at, None))
    rows.add_members(tx, alert.id, alert.facts["hosts"])
    tx.schedule(DEADLINE, alert.id, tx.now)


def on_return(tx: Tx, host_id: str) -> None:
    """A host is back: its mass outage may be over. Looked at once, however many return."""
    alert_id = rows.find_outage_of(tx, host_id)
    if alert_id is None:
        return
    outage = rows.find_outage(tx, alert_id)
    if outage is not None:
        rows.save_outage(tx, OutageRow(alert_id, outage.raised_at, tx.now))
        tx.schedule(DEADLINE, alert_id, tx.now)


def on_left(tx: Tx, host_id: str) -> None:
    """A host is nobody's loss any more: it became intermittent, or was removed."""
    alert_id = rows.find_outage_of(tx, host_id)
    if alert_id is not None:
        rows.drop_member(tx, host_id)
        tx.schedule(DEADLINE, alert_id, tx.now)


def on_due(tx: Tx, alert_id: str, _: datetime) -> None:
    """Look whether a mass outage is over."""
    row, alert = rows.find_outage(tx, alert_id), rows.find_alert(tx, alert_id)
    if row is None or alert is None:
        return
    away = rows.list_away(tx, alert_id)
    members = rows.count_members(tx, alert_id)
    outage = Outage(members, len(away), row.raised_at, row.last_return_at)
    verdict = policy_outage.assess_release(outage, tx.now)
    if verdict is ReleaseVerdict.GOES_ON:
        at = policy_outage.next_release_look(outage, tx.now)
        tx.schedule(DEADLINE, alert_id, at)
        tx.decide(FLEET, "outage_goes_on", verdict.value, rule="R5", alert_id=alert_id,
                  away=len(away), members=members, at=at)  # fmt: skip
    else:
        end(tx, alert, _REASONS[verdict])


def end(tx: Tx, alert: Alert, reason: ResolveReason, by: str | None = None) -> Alert:
    """Resolve a mass outage, and hold back its hosts' alerts no longer."""
    away = rows.list_away(tx, alert.id)
    ended = alerts.resolve(tx, alert, reason, by=by, still_away=away, rule="R5")
    let_go(tx, ended)
    return ended


def let_go(tx: Tx, alert: Alert) -> None:
    """Forget who was part of a mass outage that is over."""
    for held in rows.list_held_by(tx, alert.id):
        alerts.release(tx, held)
    rows.end_outage(tx, alert.id)
    tx.unschedule(DEADLINE, alert.id)
