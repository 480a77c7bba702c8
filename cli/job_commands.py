"""Jobs: list them, read a log, stop one."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking, listing

job_app = typer.Typer(help="Read a job's log, or stop it.", no_args_is_help=True)
app.add_typer(job_app, name="job")

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

    ask.out.show_list(lambda: fetch_jobs(ask.client, host, status, limit))


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
