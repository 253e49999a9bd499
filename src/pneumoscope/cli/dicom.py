"""`pneumoscope dicom`: where a server's results go in a hospital's network, tried without sending anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import print_json, print_note
from pneumoscope.cli.options import AsJson, Database, Home, Secret
from pneumoscope.core.counts import format_count

if TYPE_CHECKING:
    from pneumoscope.server.dicom.routing.prior_rule import PriorRule

app = typer.Typer(help="Check where a server's results go as DICOM objects.", no_args_is_help=True)


@app.callback()
def dicom() -> None:
    """Check where a server's results go as DICOM objects."""


@app.command()
def routes(
    file: Annotated[Path, typer.Argument(help="YAML file of destinations and rules, as for serve --dicom-routes.")],
    study: Annotated[
        str | None, typer.Option(help="Say what the rules would do with this study's results.", metavar="NUMBER|UID")
    ] = None,
    models: Annotated[Path | None, typer.Option(help="The server's folder of bundles, as for serve.")] = None,
    as_json: AsJson = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """Check a file of destinations and rules; with --study, say for each rule whether it matches and why.

    Nothing is made and nothing is sent. With --study it tells a model's decision, which you may not have read yet.
    """
    from pneumoscope.server import Settings, check_routes, default_home, try_routes
    from pneumoscope.server.administration import note_routes

    if study is None:
        rules = check_routes(file, models)
        for note in note_routes(rules, models):
            typer.echo(f"note: {note}", err=True)
        if as_json:
            print_json(rules.model_dump(mode="json"))
            return
        for name, destination in rules.destinations.items():
            where = f"{destination.title}@{destination.host}:{destination.port}"
            approved = f", approved by {destination.approver} on {destination.date}" if destination.approver else ""
            typer.echo(f"{name}  {where}  {destination.kind}{approved}")
        if rules.priors is not None:
            typer.echo(_describe_priors(rules.priors))
        which = "the first one" if rules.match == "first" else "every one"
        typer.echo(f"rules: {', '.join(rule.name for rule in rules.rules) or 'none'}; {which} that matches counts")
        return
    settings = Settings(home=home or default_home(), database=database, secret=secret, models=models)
    runs = try_routes(settings, file, study)
    if as_json:
        print_json([asdict(run) | {"destinations": run.destinations} for run in runs])
        return
    for run in runs:
        typer.echo(f"{run.kind}{f' of {run.model}' if run.model else ''}: {', '.join(run.destinations) or 'nowhere'}")
        for decision in run.decisions:
            typer.echo(f"  {decision.rule}: {'matches' if decision.matches else 'no'}; {'; '.join(decision.reasons)}")


@app.command()
def unsent(
    file: Annotated[Path, typer.Argument(help="The server's YAML file of destinations and rules.")],
    queue: Annotated[
        bool, typer.Option("--queue", help="Queue what was found; a running server sends it within seconds.")
    ] = False,
    models: Annotated[Path | None, typer.Option(help="The server's folder of bundles, as for serve.")] = None,
    as_json: AsJson = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """Say which results the rules would send that were never queued, such as those older than a rule.

    Nothing is sent without --queue. What is queued for a destination, was sent there or failed there is left alone.
    """
    from pneumoscope.server import Settings, default_home, find_unsent, queue_unsent

    settings = Settings(home=home or default_home(), database=database, secret=secret, models=models)
    if queue:
        count = queue_unsent(settings, file)
        if as_json:
            print_json({"queued": count})
        else:
            typer.echo(f"{format_count(count, 'result was', 'results were')} queued.")
            if count:
                print_note(
                    "A running server knows the destinations of the file that it was started with. Results for another "
                    f"one wait until it starts with {file}."
                )
        return
    results = find_unsent(settings, file)
    if as_json:
        print_json([asdict(result) for result in results])
        return
    for (destination, rule, kind), count in sorted(Counter((r.destination, r.rule, r.kind) for r in results).items()):
        typer.echo(f"{destination}  {count} of kind {kind}, by rule {rule!r}")
    if not results:
        typer.echo("Nothing is left to send: every result that the rules send was queued.")
        return
    studies = format_count(len({result.study for result in results}), "study", "studies")
    never = "was" if len(results) == 1 else "were"
    typer.echo(f"{format_count(len(results), 'result')} of {studies} {never} never queued.")


def _describe_priors(rule: PriorRule) -> str:
    """Return in one line which earlier studies are fetched."""
    archive = rule.archive
    what = f"the newest {rule.studies} of {rule.years:g} years, {' or '.join(rule.modalities)}"
    parts = f" of {' or '.join(rule.body_parts)}" if rule.body_parts else ""
    way = "C-MOVE" if rule.retrieve == "move" else "C-GET"
    return f"priors  {archive.title}@{archive.host}:{archive.port}  {what}{parts}, by {way}"
