"""Alerts: list them, take one, end one."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking, listing

alert_app = typer.Typer(help="Take or end an alert.", no_args_is_help=True)
app.add_typer(alert_app, name="alert")

Alert = Annotated[
    str,
    typer.Argument(metavar="ALERT", help="Its id or a part of it, or a host with one open alert."),
]


@app.command()
@listing
def alerts(
    ask: Ask,
    state: Annotated[
        str, typer.Option("--state", help="open (with acknowledged), acknowledged, resolved, all.")
    ] = "open",
    host: Annotated[str | None, typer.Option("--host", help="Only of this host.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only these: agent_offline, …")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 200,
) -> None:
    """List alerts: what needs someone, since when.

    \b
    Examples:
      dormice alerts
      dormice alerts --state resolved --host web-3
      dormice alerts --json
    """
    from cli.alerts import AlertFilter, fetch_alerts

    wanted = AlertFilter(None if state == "all" else state, host, kind, limit)
    ask.out.show_list(lambda: fetch_alerts(ask.client, wanted))


@alert_app.command()
@asking
def ack(
    ask: Ask,
    alert: Alert,
    note: Annotated[str | None, typer.Option("--note", help="Why, or what you do.")] = None,
) -> None:
    """Take an alert: others see that someone is at it.

    It stays open until its condition ends.

    \b
    Examples:
      dormice alert ack web-3 --note "replacing its disk"
    """
    from cli.finding import find_alert

    found = find_alert(ask.client, alert)
    body = {} if note is None else {"note": note}
    taken = ask.client.post(f"/alerts/{found['id']}/acknowledge", body)
    ask.out.result(taken, f"acknowledged: {found['host_name'] or 'fleet'}: {taken['message']}")


@alert_app.command()
@asking
def resolve(ask: Ask, alert: Alert) -> None:
    """End an alert by hand.

    While its condition holds it is raised again after a minute.
    """
    from cli.finding import find_alert

    found = find_alert(ask.client, alert)
    ended = ask.client.post(f"/alerts/{found['id']}/resolve")
    ask.out.result(ended, f"resolved: {found['host_name'] or 'fleet'}: {ended['message']}")
