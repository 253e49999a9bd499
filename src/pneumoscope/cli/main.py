"""The entry point: one command, `pneumoscope`, whose parts are imported only when they are called.

`pneumoscope --help` must answer in 0.2 s, and a missing optional library must break only the command that needs it.
So commands are a table of names, places and one line each; to add one, add a row.
"""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from pneumoscope import __version__
from pneumoscope.cli.wording import for_command_line
from pneumoscope.core.errors import MissingExtraError, PneumoscopeError, TerminationRequest, UsageError
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.core.registry import suggestion


class Command(NamedTuple):
    """Where a command lives (``module:attribute``, a function or a Typer app) and its line in the help."""

    place: str
    help: str


COMMANDS = {
    "demo": Command("pneumoscope.cli.demo:demo", "See it work: the built-in model on drawn studies, in the browser."),
    "data": Command("pneumoscope.cli.data:app", "Import, split, merge, describe and show sets of radiographs."),
    "phantoms": Command("pneumoscope.cli.phantoms:phantoms", "Draw labelled synthetic chest radiographs."),
    "recipes": Command("pneumoscope.cli.recipes:app", "List the recipes and show one."),
    "train": Command("pneumoscope.cli.train:train", "Train a recipe on a manifest; leaves a run with a bundle."),
    "compare": Command("pneumoscope.cli.compare:compare", "Train many recipes on the same images: which is best?"),
    "cross-validate": Command(
        "pneumoscope.cli.cross_validate:cross_validate", "Train recipes in folds by patient; test their differences."
    ),
    "learning-curve": Command(
        "pneumoscope.cli.learning_curve:learning_curve", "Train on growing shares: what would more patients bring?"
    ),
    "tune": Command("pneumoscope.cli.tune:tune", "Search a recipe's settings; leaves the best as a recipe and a run."),
    "evaluate": Command("pneumoscope.cli.evaluate:evaluate", "Measure a bundle on a part of a manifest."),
    "audit": Command("pneumoscope.cli.audit:audit", "Find out what a bundle's answers rest on; one verdict."),
    "accept": Command("pneumoscope.cli.accept:accept", "Try a bundle on a department's own cases: go or no-go."),
    "plan": Command("pneumoscope.cli.plan:plan", "Say how many patients a study of a model needs."),
    "report": Command("pneumoscope.cli.report:report", "Write a run's report: question, data, results, checklists."),
    "export": Command("pneumoscope.cli.export:export", "Write a bundle in another format: int8, Core ML, ORT."),
    "certify": Command("pneumoscope.cli.certify:certify", "Do all engines and formats of a bundle agree?"),
    "predict": Command("pneumoscope.cli.predict:predict", "Predict files and folders with a bundle."),
    "gatekeeper": Command("pneumoscope.cli.gatekeeper:app", "Say what is an upright frontal chest; train and measure."),
    "lungs": Command("pneumoscope.cli.lungs:app", "Outline lungs and heart; train and measure that graph."),
    "models": Command("pneumoscope.cli.models:app", "List, show and verify bundles."),
    "cache": Command("pneumoscope.cli.cache:app", "Show and clear what is kept outside your own folders."),
    "serve": Command("pneumoscope.cli.serve:serve", "Serve studies, predictions and reads over HTTP."),
    "dicom": Command("pneumoscope.cli.dicom:app", "Check where a server's results go as DICOM objects."),
    "backup": Command("pneumoscope.cli.backup:backup", "Copy a server's data while it runs."),
    "users": Command("pneumoscope.cli.users:app", "Add, list and disable the accounts of a server."),
    "monitor": Command("pneumoscope.cli.monitor:monitor", "Watch a server's model for changes, week by week."),
    "reads": Command("pneumoscope.cli.reads:app", "Report a site's reads and answers; export them to retrain from."),
}

EXTRAS = {
    **dict.fromkeys(
        ("torch", "torchvision", "timm", "lightning", "safetensors", "onnx", "onnxscript", "sklearn", "optuna"), "train"
    ),
    "coremltools": "coreml",
    "openvino": "openvino",
    **dict.fromkeys(("pydicom", "pylibjpeg", "openjpeg", "libjpeg", "rle"), "dicom"),
}
"""Optional library -> the extra that brings it."""

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and SIGTERM: 128 and the number of the signal, as shells have it."""


def load_command(name: str) -> Any:
    """Import a command of the table and return it as Click knows it."""
    module, attribute = COMMANDS[name].place.split(":")
    entry = getattr(import_module(module), attribute)
    app = entry
    if not isinstance(entry, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(name)(entry)
    app.rich_markup_mode = None  # plain help: Rich alone would cost a fifth of the time that --help has
    command = typer.main.get_command(app)
    command.name = name
    return command


class LazyGroup(TyperGroup):
    """A group that imports a command when it is called, and turns this package's errors into one line."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return one command; None if the table has no such name."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = load_command(cmd_name)
        return self.commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the help's list of commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that ``args`` begin with; an unknown one suggests the nearest."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"no such command: {args[0]!r}.{suggestion(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a `PneumoscopeError` ends as one line and its exit code, Ctrl-C as a sentence and 130."""
        try:
            return super().invoke(ctx)
        except PneumoscopeError as error:
            if ctx.params.get("debug"):
                raise
            _print_error(for_command_line(str(error)))
            raise typer.Exit(error.exit_code) from error
        except ModuleNotFoundError as error:
            library = (error.name or "").partition(".")[0]
            if ctx.params.get("debug") or library not in EXTRAS:
                raise
            missing = MissingExtraError(f"pneumoscope {ctx.invoked_subcommand} ({library})", EXTRAS[library])
            _print_error(str(missing))
            raise typer.Exit(missing.exit_code) from error
        except typer.BadParameter as error:
            error.message = describe_bad_value(error)
            raise
        except BrokenPipeError:  # the reader of the output went away; Click ends the program without a word
            raise
        except Exception as error:
            if ctx.params.get("debug") or (text := describe_system_error(error)) is None:
                raise
            _print_error(text)
            raise typer.Exit(UsageError.exit_code if isinstance(error, WRONG_KIND_OF_PLACE) else 1) from error
        except KeyboardInterrupt as interrupt:
            if ctx.params.get("debug"):
                raise
            terminated = isinstance(interrupt, TerminationRequest)
            who = "a signal (SIGTERM)" if terminated else "Ctrl-C"
            _print_error(for_command_line(f"Stopped by {who}. {interrupt}".rstrip()))
            raise typer.Exit(TERMINATED if terminated else INTERRUPTED) from interrupt


def describe_bad_value(error: typer.BadParameter) -> str:
    """Return what is wrong with an option's value, with the value; Typer's own words where they have it already."""
    errors = getattr(error.__cause__, "errors", None)  # pydantic's, which has not been imported here
    if errors is None:
        return str(error.message)
    first = errors()[0]
    value, kind = str(first["input"]), str(first["type"])
    if kind not in NO_NUMBER:
        return f"{value!r}: {first['msg'][0].lower()}{first['msg'][1:]}."
    percent, written = value.removesuffix("%"), value.endswith("%")
    share = f" Write {float(percent) / 100:g}." if written and percent.replace(".", "", 1).isdecimal() else ""
    return f"{value!r} is not {NO_NUMBER[kind]}.{share}"


NO_NUMBER = {
    "float_parsing": "a number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
}
"""Pydantic's kind of error -> what a text is not."""

DATABASES = ("sqlite3", "sqlalchemy", "alembic", "psycopg")
"""Libraries whose errors are about a database: out of room, cut short, or of a newer version."""

WRITING_FAILED = ("PytorchStreamWriter failed", "inline_container", "iostream error")
"""How torch says that a file cannot be written: a plain RuntimeError."""


WRONG_KIND_OF_PLACE = (NotADirectoryError, IsADirectoryError, FileExistsError)
"""A file where a folder is needed, or the other way round: a wrong path, not a failure."""


def describe_system_error(error: Exception) -> str | None:
    """Return one line for an error of the file system or a database; None for any other, a fault of the program."""
    if isinstance(error, OSError):
        place = " and ".join(str(name) for name in (error.filename, error.filename2) if name) or "a file"
        reason = error.strerror or str(error).partition("\n")[0] or type(error).__name__
        ways_out = {
            errno.ENOSPC: "Make room, or choose a place on another disk.",
            errno.EDQUOT: "Make room, or choose a place on another disk.",
            errno.EROFS: "Choose a place that can be written to.",
            errno.EACCES: "Choose a place that you may use, or change its permissions.",
            errno.EPERM: "Choose a place that you may use, or change its permissions.",
        }
        return f"{place}: {reason}. {ways_out.get(error.errno or 0, '')}{_describe_own_folder(error)}".rstrip()
    if type(error).__module__.partition(".")[0] in DATABASES:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        if "Can't locate revision" in reason:  # Alembic's words for a schema that this version does not know
            return "the database: was written by a newer version. Update Pneumoscope, or name another database."
        return f"the database: {reason}. Make room if its disk is full; else restore a backup, or name another one."
    if isinstance(error, RuntimeError) and any(words in str(error) for words in WRITING_FAILED):
        return "a checkpoint or bundle: cannot be written. Make room, or choose a place on another disk."
    return None


def _describe_own_folder(error: OSError) -> str:
    """Return which variable moves a folder that no option named; empty where the place is another."""
    if not isinstance(error.filename, str) or error.errno not in UNWRITABLE:
        return ""
    from pathlib import Path

    from pneumoscope.core.files import cache_folder, data_folder  # here: `--help` does without them

    place = Path(error.filename)
    folders = (("the cache", "PNEUMOSCOPE_CACHE", cache_folder()), ("records", "PNEUMOSCOPE_HOME", data_folder()))
    for what, variable, folder in folders:
        # A folder above it is named where that could not be made.
        if place.is_relative_to(folder) or (folder.is_relative_to(place) and not folder.exists()):
            return f" It is the folder of {what}: {variable}=DIR names another one."
    return ""


UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""The system's numbers of errors that another folder avoids."""


def _print_error(text: str) -> None:
    typer.secho(text, fg=typer.colors.RED, err=True)  # colours only where the terminal has them


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pneumoscope {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=LazyGroup,
    name="pneumoscope",
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=DISCLAIMER,
)


@app.callback()
def pneumoscope(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the full traceback of an error, also of one image's.")
    ] = False,
) -> None:
    """Train, compare and run chest X-ray classifiers, and say how far each can be trusted.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a check refused, 130 stopped by Ctrl-C, 143 by SIGTERM.
    """
    if debug:
        import logging  # here: it takes a hundredth of the time that --help has

        log = logging.getLogger("pneumoscope")
        log.addHandler(logging.StreamHandler())
        log.setLevel(logging.DEBUG)


def run() -> None:
    """Entry point of the command `pneumoscope`."""
    for stream in (sys.stdout, sys.stderr):
        # A file name that the terminal's encoding cannot show must not end the run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    run()
