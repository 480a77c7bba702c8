"""Jobs: list them, read a log, stop one."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking, listing

job_app = typer.Typer(help="Start a job, read its log, or stop it.", no_args_is_help=True)
app.add_typer(job_app, name="job")

Host = Annotated[str, typer.Argument(metavar="HOST", help="Name or id; its beginning will do.")]
Group = Annotated[str | None, typer.Option("--group", "-g", help="Only this source group.")]
WhenItWakes = Annotated[
    bool, typer.Option("--when-it-wakes", help="If it is away or busy, as soon as it can.")
]
Wait = Annotated[bool, typer.Option("--wait", help="For its end; exit 1 if bad.")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="Its id, or the beginning or end of it.")]


@app.command()
@listing
def jobs(
    ask: Ask,
    host: Annotated[str | None, typer.Option("--host", help="Only of this host.")] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="running, failed, …; several with commas.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
) -> None:
    """List jobs, the latest first.

    \b
    Examples:
      dormice jobs --status running --watch
      dormice jobs --host laptop-7 --status failed,interrupted
    """
    from cli.jobs import fetch_jobs

    ask.out.show_list(lambda: fetch_jobs(ask.client, host, status, limit, wide=ask.wide))


@job_app.command()
@asking
def start(
    ask: Ask, host: Host,
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="forget, prune, check, unlock, init, backup.")
    ],
    group: Group = None, when_it_wakes: WhenItWakes = False, wait: Wait = False,
) -> None:  # fmt: skip
    """Have a host do something with its repository.

    forget: drop the snapshots of a source group that its retention does not keep. prune: free the
    room that no snapshot needs. check: look whether the repository is sound. unlock: remove stale
    locks. init: make the repository. A prune or check of a laptop is done by a server that shares
    its repository, where there is one; forget, prune and check take turns in each repository.

    \b
    Examples:
      dormice job start web-3 check --wait
      dormice job start laptop-7 forget --group home --when-it-wakes
    """
    from cli.starting import Wanted, start_job

    start_job(ask, host, Wanted(kind, group, when_it_wakes=when_it_wakes), wait=wait)


@app.command()
@listing
def snapshots(
    ask: Ask, host: Host, group: Group = None,
    all_hosts: Annotated[
        bool, typer.Option("--all-hosts", help="Of all that share the repository.")
    ] = False,
    last: Annotated[bool, typer.Option("--last", help="As listed last; ask nobody.")] = False,
) -> None:  # fmt: skip
    """List a host's snapshots, the newest first.

    \b
    Examples:
      dormice snapshots laptop-7
      dormice snapshots web-3 --group data --json
    """
    from cli.starting import fetch_snapshots, list_now

    if not last:
        list_now(ask, host, group, all_hosts=all_hosts)
    ask.out.show_list(lambda: fetch_snapshots(ask.client, host))


@app.command()
@asking
def restore(  # noqa: PLR0913  # Typer: one parameter for each option.
    ask: Ask, host: Host,
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Its id, or latest.")],
    to: Annotated[str, typer.Option("--to", help="The folder on the host, such as /tmp/back.")],
    path: Annotated[
        list[str] | None, typer.Option("--path", "-p", help="Only this; may be repeated.")
    ] = None,
    group: Group = None, when_it_wakes: WhenItWakes = False, wait: Wait = False,
) -> None:  # fmt: skip
    """Take files back from a snapshot, into a folder on the host.

    Each keeps its path below that folder. A restore that is cut off is not repeated by itself.

    \b
    Examples:
      dormice restore laptop-7 latest --to /tmp/back --path /srv/letters --wait
    """
    from cli.starting import Wanted, start_job

    arguments = {"snapshot": snapshot, "target": to, "paths": path or []}
    wanted = Wanted("restore", group, arguments, when_it_wakes)
    start_job(ask, host, wanted, wait=wait)


@job_app.command()
@asking
def log(
    ask: Ask,
    job: Job,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends.")] = False,
) -> None:
    """Print what a job said.

    \b
    Examples:
      dormice job log 7f3a
      dormice job log 7f3a --follow
    """
    from cli.finding import find_job
    from cli.jobs import print_log

    print_log(ask, find_job(ask.client, job), follow=follow)


@job_app.command()
@asking
def cancel(ask: Ask, job: Job) -> None:
    """Stop a job, or a run that still waits for its host."""
    from cli.finding import find_job, short

    found = find_job(ask.client, job)
    said = ask.client.post(f"/jobs/{found['id']}/cancel")
    known = short(found["id"])
    ask.out.result(said, f"job {known} is being stopped", f"dormice job log {known}")
