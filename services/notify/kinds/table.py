"""Every kind of channel there is."""

from __future__ import annotations

from services.notify.errors import UnknownKind
from services.notify.kinds import alertmanager, apprise, ntfy, smtp, webhook
from services.notify.kinds.base import Kind

KINDS: dict[str, Kind] = {
    "webhook": webhook.KIND,
    "smtp": smtp.KIND,
    "ntfy": ntfy.KIND,
    "alertmanager": alertmanager.KIND,
    "apprise": apprise.KIND,
}


def kind_of(name: str) -> Kind:
    """Raises: UnknownKind."""
    if name not in KINDS:
        raise UnknownKind(f"{name[:32]!r} is no kind of channel; there are {', '.join(KINDS)}")
    return KINDS[name]
