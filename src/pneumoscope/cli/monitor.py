"""`pneumoscope monitor`: week by week, does a server's model still meet what it met at its acceptance?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.options import AsJson, Database, Home, Secret


def monitor(
    model: Annotated[
        str | None, typer.Option(help="Its number, or: builtin.  [default: the one with the most answers]")
    ] = None,
    models: Annotated[Path | None, typer.Option(help="The server's folder of bundles, as for serve.")] = None,
    weeks: Annotated[int, typer.Option(help="Complete weeks to show.")] = 12,
    false_alarms: Annotated[
        float, typer.Option(help="Weeks with a false alarm in a year, at most, over all measures.")
    ] = 1.0,
    finding: Annotated[
        str | None, typer.Option(help="Of a multi-label model: the finding to watch.  [default: its first]")
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """Watch a server's refusals, scores, out-of-distribution scores and agreement of readers, week by week.

    Each is compared with this site's acceptance, else with the model's card. The exit code is 3 where the newest
    complete week has an alarm. It tells sums of answers about studies that you may have yet to read.
    """
    from pneumoscope.server import Settings, default_home, monitor_model
    from pneumoscope.server.reading.monitor import render_monitor_lines

    settings = Settings(home=home or default_home(), database=database, secret=secret, models=models)
    report = monitor_model(settings, model, weeks=weeks, false_alarms=false_alarms, finding=finding)
    typer.echo(report.model_dump_json(indent=2) if as_json else "\n".join(render_monitor_lines(report)))
    if report.alarm:
        raise typer.Exit(3)
