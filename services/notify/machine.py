"""Notify's state machine: alerts become messages in the channels' queues.

Who is told of what: policy.py and telling.py; when: policy_pace.py and pacing.py; how a message
gets out: delivering.py, kinds/; the verbs: channels.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from libs.common.events.alert import (
    Alert,
    AlertAcknowledged,
    AlertKind,
    AlertRaised,
    AlertReminded,
    AlertResolved,
    AlertSilenced,
    AlertState,
    AlertUnsilenced,
    NotificationDelivered,
    NotificationFailed,
)
from libs.common.events.host import (
    HostChanged,
    HostEnrolled,
    HostFact,
    HostModeChanged,
    HostRecord,
    HostRemoved,
)
from libs.common.loop.machine import Buckets, Machine
from libs.common.loop.tx import Tx
from libs.common.security import Vault
from services.notify import channels, delivering, pacing, policy, queue, repeating, store
from services.notify.pacing import Digester
from services.notify.policy import News
from services.notify.settings import NotifySettings
from services.notify.telling import Teller
from services.notify.telling_many import learn_raised

SENDS_OF_A_STORM = 20
"""With so many messages on their way, none of them is late by what a rest takes."""
PRUNE = "prune"
PRUNE_EVERY = timedelta(days=1)
PRUNE_AGAIN = timedelta(minutes=1)
PRUNE_ROWS = 1000


class NotifyMachine(Machine):
    """See the service's README."""

    name = "notify"
    package = "services.notify"
    buckets = ("hosts", "alerts")
    knows_own = True
    rests_above = SENDS_OF_A_STORM

    def __init__(self, vault: Vault, settings: NotifySettings) -> None:
        super().__init__()
        self._teller = Teller(settings.links_begin)
        self.handlers = {
            HostEnrolled: self.on_host,
            HostChanged: self.on_host,
            HostModeChanged: self.on_host,
            HostRemoved: self.on_host,
            AlertRaised: self.on_alert_raised,
            AlertReminded: self.on_alert_reminded,
            AlertAcknowledged: self.on_alert_acknowledged,
            AlertResolved: self.on_alert_resolved,
            AlertSilenced: self.on_alert_silenced,
            AlertUnsilenced: self.on_alert_unsilenced,
            NotificationDelivered: delivering.on_end_in_log,
            NotificationFailed: delivering.on_end_in_log,
        }
        self.handlers_of_many = {AlertRaised: self.on_alerts_raised}
        self.deadlines = {
            delivering.RETRY: delivering.on_retry,
            pacing.DIGEST: Digester(settings.links_begin).on_digest,
            repeating.REPEAT: repeating.on_repeat,
            PRUNE: self.on_prune,
        }
        self.outcomes = {
            delivering.SEND: delivering.on_sent,
            repeating.REPEAT: repeating.on_repeated,
        }
        self.outcomes_of_many = {delivering.SEND: delivering.on_sent_many}
        self.verbs = channels.verbs(vault, settings.allow_targets)

    # -- what happened -----------------------------------------------------------------------------

    def on_host(self, tx: Tx, event: HostFact) -> None:
        store.learn_host(tx, event.record)

    def on_alert_raised(self, tx: Tx, event: AlertRaised) -> None:
        alert = _unless_over(tx, event.alert)
        if self._learn(tx, News.RAISED, alert):
            self._teller.tell(tx, News.RAISED, alert)

    def on_alerts_raised(self, tx: Tx, events: Sequence[AlertRaised]) -> None:
        """Many at once, as when a storm breaks: what is plain about them is looked up together."""
        if not all(policy.is_plain(event.alert) for event in events):
            for event in events:
                self.on_alert_raised(tx, event)
        else:
            learn_raised(tx, self._teller, [event.alert for event in events])

    def on_alert_reminded(self, tx: Tx, event: AlertReminded) -> None:
        """A reminder says how it is now; the alert's own message is that of its raise."""
        if self._learn(tx, News.REMINDED, event.alert):
            now = {"message": event.message or event.alert.message}
            self._teller.tell(tx, News.REMINDED, event.alert.model_copy(update=now))

    def on_alert_acknowledged(self, tx: Tx, event: AlertAcknowledged) -> None:
        if self._learn(tx, News.ACKNOWLEDGED, event.alert):
            self._teller.follow_up(tx, News.ACKNOWLEDGED, event.alert)

    def on_alert_resolved(self, tx: Tx, event: AlertResolved) -> None:
        if not self._learn(tx, News.RESOLVED, event.alert):
            return
        if event.alert.kind is AlertKind.FLEET_OUTAGE:
            self._teller.release(tx, event.alert, event.still_away)
        else:
            self._teller.follow_up(tx, News.RESOLVED, event.alert)

    def on_alert_silenced(self, tx: Tx, event: AlertSilenced) -> None:
        if policy.is_silence_news(event.alert, store.find_alert(tx, event.alert.id)):
            store.save_alert(tx, _unless_over(tx, event.alert))

    def on_alert_unsilenced(self, tx: Tx, event: AlertUnsilenced) -> None:
        """Tell of it as if it were raised now; an outage may go on to hold it back."""
        if policy.is_silence_news(event.alert, store.find_alert(tx, event.alert.id)):
            alert = _unless_over(tx, event.alert)
            store.save_alert(tx, alert)
            self._teller.tell(tx, News.RAISED, alert)

    # -- what comes later --------------------------------------------------------------------------

    def on_prune(self, tx: Tx, key: str, _due_at: datetime) -> None:
        """Forget what ended so long ago that the log no longer holds its facts."""
        before = tx.now - policy.KEEP_HISTORY
        deleted = queue.forget_ended(tx, before, PRUNE_ROWS)
        deleted += store.forget_resolved(tx, before, PRUNE_ROWS)
        tx.schedule(PRUNE, key, tx.now + (PRUNE_AGAIN if deleted >= PRUNE_ROWS else PRUNE_EVERY))

    def on_connected(self, tx: Tx) -> None:
        if tx.find_due(PRUNE, "all") is None:
            tx.schedule(PRUNE, "all", tx.now + PRUNE_EVERY)

    def load(self, tx: Tx, buckets: Buckets) -> None:
        """Take hosts and open alerts as they are now.

        At the first start there is no channel yet. After a wiped log an alert that we don't know
        was raised while we could not hear it: tell it now, late rather than never.
        """
        for data in buckets.get("hosts", {}).values():
            store.learn_host(tx, HostRecord.model_validate_json(data))
        found = [Alert.model_validate_json(data) for data in buckets.get("alerts", {}).values()]
        for alert in sorted(found, key=lambda alert: (alert.raised_at, alert.id)):
            self._load_alert(tx, alert)

    def _load_alert(self, tx: Tx, alert: Alert) -> None:
        known = store.find_alert(tx, alert.id)
        released = known is not None and policy.is_released(alert, known)
        if known is None or (released and known.state is not AlertState.RESOLVED):
            store.save_alert(tx, alert)
            self._teller.tell(tx, News.RAISED, alert)
        elif alert.state is AlertState.ACKNOWLEDGED:
            self.on_alert_acknowledged(tx, AlertAcknowledged(alert=alert))

    # -- what we know ------------------------------------------------------------------------------

    def _learn(self, tx: Tx, news: News, alert: Alert) -> bool:
        """Keep the alert's new state (a reminder brings none); False if the fact is an old one."""
        known = store.find_alert(tx, alert.id)
        if not policy.is_new(news, known.state if known else None):
            return False
        if news is not News.REMINDED or known is None:
            store.save_alert(tx, alert)
        return True


def _unless_over(tx: Tx, alert: Alert) -> Alert:
    """Return the alert without its hold if that outage is over: nothing would release it."""
    outage = store.find_alert(tx, alert.held_by) if alert.held_by else None
    if outage is None or outage.state is not AlertState.RESOLVED:
        return alert
    return alert.model_copy(update={"held_by": None})
