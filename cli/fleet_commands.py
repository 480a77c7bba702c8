"""The fleet at a glance: hosts, why, check, events."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking, listing

CHECK_EXITS = {"ok": 0, "degraded": 1, "failing": 2}
Host = Annotated[str, typer.Argument(metavar="HOST", help="Name or id; its beginning will do.")]


@app.command()
@listing
def hosts(
    ask: Ask,
    query: Annotated[list[str] | None, typer.Argument(metavar="[QUERY]", help="See above.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 1000,
    sort: Annotated[
        str | None, typer.Option("--sort", help="A field, - before it for descending.")
    ] = None,
) -> None:
    """List hosts: state, last seen, last backup, what comes next.

    QUERY is the language of the page's search box; its words are ANDed:

    \b
      state:asleep,offline   online, offline, asleep, never-seen
      mode:always-on         or mode:intermittent
      tag:paris  os:linux    name:web-*
      seen:>7d backup:never  longer ago than; <1h: less long ago; never
      is:overdue             attention, backing-up, catching-up, failing
      -tag:test  lap         not; part of the name

    \b
    Examples:
      dormice hosts state:asleep,offline
      dormice hosts is:overdue tag:paris --csv
      dormice hosts --watch
    """
    from cli.fleet import fetch_hosts

    words = " ".join(query or [])
    ask.out.show_list(lambda: fetch_hosts(ask.client, words, limit, sort))


@app.command()
@asking
def why(
    ask: Ask,
    host: Host,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1000, help="How many decisions.")
    ] = 15,
) -> None:
    """Say in words why a host is as it is, and what comes next.

    Each line is a decision that a service took, newest first, with its rule.

    \b
    Examples:
      dormice why laptop-7
      dormice why web-3 --limit 100
    """
    from cli.why import explain, fetch_story

    story = fetch_story(ask.client, host, limit)
    if ask.as_json:
        ask.out.json({"host": story.host, "decisions": story.decisions})
        return
    from libs.common.clock import SystemClock

    ask.out.lines(explain(story, SystemClock().now(), ask.out.terminal.width))


@app.command()
@asking
def check(ask: Ask) -> None:
    """Say in one line how the fleet is, for monitoring systems.

    \b
    Exit codes:
      0  ok        no alert needs anyone; asleep hosts never change that
      1  degraded  an open warning, or a channel that does not deliver
      2  failing   a critical alert, a part that is not ready, or no answer

    An alert that is silenced or was resolved by hand counts for nothing, though its host is still
    listed by `dormice hosts is:attention`.
    """
    from libs.common.errors import DormiceError

    try:
        health = ask.client.get("/fleet/health")
        fleet = ask.client.get("/fleet")
    except DormiceError as error:
        health, fleet = {"status": "failing", "reasons": [error.message]}, None
    if ask.as_json:
        ask.out.json(health)
    else:
        from cli.words import calm_summary

        said = "; ".join(health["reasons"]) or calm_summary(fleet or {})
        ask.out.lines([f"{health['status']}: {' '.join(said.split())}"])
    raise typer.Exit(CHECK_EXITS.get(health["status"], 2))


@app.command()
@asking
def events(
    ask: Ask,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
    subject: Annotated[
        str | None,
        typer.Option("--subject", "-s", help="Only these: dormice.alert.>, dormice.*.HOST.*"),
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="How many old ones.")] = 20,
    bus: Annotated[
        str | None, typer.Option("--bus", help="nats://HOST:4222; the password in the environment.")
    ] = None,
) -> None:
    """Print what happens, from the bus itself, a line per event.

    With --json each line is the event as it lies there.

    Beside an `up` on the same data directory it shows everything. Elsewhere say where the bus is
    by --bus or DORMICE_NATS_URL, and who you are by DORMICE_NATS_USER and DORMICE_NATS_PASSWORD;
    user `reader` sees alerts and presence.

    \b
    Examples:
      dormice events --follow
      dormice events --subject 'dormice.alert.>' --last 100
      DORMICE_NATS_URL=$(dormice bus-url reader) dormice events -f
    """
    from cli.events import Wanted, print_events

    print_events(ask, Wanted(subject, last, follow), bus)
