"""Channels: where alerts are told, of which, and when not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking, listing

channel_app = typer.Typer(help="Say where alerts are told, and of which.", no_args_is_help=True)
app.add_typer(channel_app, name="channel")

Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name or id.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="Only these: agent_offline, …; again for more.")
]
Severities = Annotated[
    list[str] | None, typer.Option("--severity", help="Only these: warning, critical.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only hosts with one of these.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="Only these hosts.")]
Quiet = Annotated[
    str | None, typer.Option("--quiet", metavar="TIMES", help="Not told then: 22:00-07:00.")
]
QuietDays = Annotated[
    str | None, typer.Option("--quiet-days", metavar="DAYS", help="On which it begins: mon-fri.")
]
QuietZone = Annotated[
    str | None, typer.Option("--quiet-zone", metavar="ZONE", help="By whose clock: Europe/Berlin.")
]
Break = Annotated[
    list[str] | None,
    typer.Option("--break-through", help="Severities told all the same; none: nothing is."),
]
Rate = Annotated[
    str | None, typer.Option("--rate", metavar="N/TIME", help="At most 10/15m; the rest: a digest.")
]
SecretFile = Annotated[
    Path | None,
    typer.Option("--secret-file", help="Secret, password, token or Apprise URL; - is stdin."),
]


@channel_app.command("add")
@asking
def add_channel(  # noqa: PLR0913  # Typer: one parameter for each option.
    ask: Ask,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As people will see it.")],
    kind: Annotated[
        str,
        typer.Argument(metavar="TYPE", help="webhook, smtp, ntfy, alertmanager or apprise."),
    ],
    config: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE…]", help="What that type needs.")
    ] = None,
    secret_file: SecretFile = None,
    kinds: Kinds = None,
    severities: Severities = None,
    tags: Tags = None,
    hosts: Hosts = None,
    quiet: Quiet = None,
    quiet_days: QuietDays = None,
    quiet_zone: QuietZone = None,
    break_through: Break = None,
    rate: Rate = None,
) -> None:
    """Add a channel.

    What is secret never is an argument: it comes from --secret-file, and is never shown again.

    \b
    Examples:
      dormice channel add ops webhook url=https://hooks.example/dormice --secret-file key
      dormice channel add mail smtp host=mail.example sender=dormice@x.example to=ops@x.example
      dormice channel add phone ntfy topic=backups --quiet 22:00-07:00 --quiet-zone Europe/Berlin
      dormice channel add am alertmanager url=http://alertmanager:9093 --severity critical
      pass show telegram | dormice channel add chat apprise --secret-file - --rate 10/15m
    """
    from cli.channels import Pace, Wanted, create_channel

    pace = Pace(quiet, quiet_days, quiet_zone, break_through, rate)
    wanted = Wanted(kinds, severities, tags, hosts)
    create_channel(ask, (name, kind), config or [], secret_file, wanted, pace)


@channel_app.command("change")
@asking
def change_channel(  # noqa: PLR0913  # Typer: one parameter for each option.
    ask: Ask,
    channel: Channel,
    config: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE…]", help="KEY= takes it away.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    secret_file: SecretFile = None,
    kinds: Kinds = None,
    severities: Severities = None,
    tags: Tags = None,
    hosts: Hosts = None,
    quiet: Quiet = None,
    quiet_days: QuietDays = None,
    quiet_zone: QuietZone = None,
    break_through: Break = None,
    rate: Rate = None,
) -> None:
    """Change what is named of a channel; the rest stays.

    An option of the filter replaces its list; `all` (or `none` for --quiet and --rate) takes the
    limit away.

    \b
    Examples:
      dormice channel change ops url=https://hooks.example/other
      dormice channel change phone --severity critical --tag all
      dormice channel change phone --quiet none
    """
    from cli.channels import Pace, Wanted, patch_channel

    pace = Pace(quiet, quiet_days, quiet_zone, break_through, rate)
    wanted = Wanted(kinds, severities, tags, hosts)
    patch_channel(ask, (channel, name), config or [], secret_file, wanted, pace)


@channel_app.command("list")
@listing
def list_channels(ask: Ask) -> None:
    """List channels: where they lead, and how they are doing."""
    from cli.channel_lists import fetch_channels

    ask.out.show_list(lambda: fetch_channels(ask.client))


@channel_app.command("messages")
@listing
def list_messages(
    ask: Ask,
    channel: Channel,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 50,
) -> None:
    """List a channel's messages, newest first: what became of each."""
    from cli.channel_lists import fetch_messages

    ask.out.show_list(lambda: fetch_messages(ask.client, channel, limit))


@channel_app.command("test")
@asking
def test_channel(ask: Ask, channel: Channel) -> None:
    """Send a test message, and say what the receiver answered.

    It takes the way of every message. Exit 1 if it did not arrive, or not yet.
    """
    from cli.channels import send_test

    send_test(ask, channel)


@channel_app.command("remove")
@asking
def remove_channel(
    ask: Ask,
    channel: Channel,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Remove a channel. What it has not sent yet is dropped."""
    from cli.channels import delete_channel

    delete_channel(ask, channel, sure=yes)
