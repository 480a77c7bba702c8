"""Every page, with how a page says that something cannot be done."""

from __future__ import annotations

from typing import Any

from litestar import Router

from services.ui.live import Live
from services.ui.pages.alerts import AlertPages
from services.ui.pages.audit import AuditPages
from services.ui.pages.channels import ChannelPages
from services.ui.pages.configuration import ConfigurationForms
from services.ui.pages.enroll import EnrollPages
from services.ui.pages.failures import answer_failure
from services.ui.pages.fleet import FleetPages
from services.ui.pages.host import HostPages
from services.ui.pages.host_forms import HostForms
from services.ui.pages.jobs import JobPages
from services.ui.pages.login import DoorPages
from services.ui.pages.people import OperatorForms, TokenForms
from services.ui.pages.settings import SettingsPages
from services.ui.pages.silences import SilencePages
from services.ui.pages.snapshots import JobForms, RestorePages, SnapshotPages
from services.ui.pages.static import static_file
from services.ui.pages.stream import live_stream
from services.ui.pages.thresholds import ThresholdForms
from services.ui.site import Site

CONTROLLERS = (
    AlertPages, AuditPages, ChannelPages, ConfigurationForms, DoorPages, EnrollPages, FleetPages,
    HostForms, HostPages, JobForms, JobPages, OperatorForms, RestorePages, SettingsPages,
    SilencePages, SnapshotPages, ThresholdForms, TokenForms,
)  # fmt: skip


def page_routes(site: Site) -> list[Any]:
    """Return the routes of all pages; the hub of their live stream begins to listen."""
    handlers: list[Any] = [*CONTROLLERS, static_file, live_stream(Live(site))]
    return [
        Router(
            "/", route_handlers=handlers, exception_handlers={Exception: answer_failure},
            include_in_schema=False,
        )
    ]  # fmt: skip
