"""The public Python API: every command has its function, and every public name says what it takes, gives and raises."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
import textwrap
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pneumoscope as ps
from pneumoscope.cli.main import COMMANDS, load_command
from pneumoscope.core.arguments import check_arguments
from syntax import parse_source

FUNCTIONS = {
    "demo": "server.serve",
    "data import": "import_data",
    "data split": "split",
    "data merge": "merge",
    "data check": "check",
    "data describe": "describe",
    "data show": "draw_contact_sheet",
    "phantoms": "draw_phantoms",
    "recipes list": "Recipe.names",
    "recipes show": "Recipe.load",
    "train": "train",
    "compare": "compare",
    "cross-validate": "cross_validate",
    "learning-curve": "learning_curve",
    "tune": "tune",
    "evaluate": "evaluate",
    "audit": "audit",
    "accept": "accept",
    "plan": "plan_study",
    "report": "report",
    "export": "export_bundle",
    "certify": "certify",
    "predict": "predict",
    "gatekeeper check": "screen_images",
    "gatekeeper train": "train_gatekeeper",
    "gatekeeper measure": "measure_gatekeeper",
    "lungs outline": "outline_lungs",
    "lungs train": "train_lungs",
    "lungs measure": "measure_lungs",
    "models list": "list_bundles",
    "models show": "describe_bundle",
    "models verify": "verify",
    "cache": "list_cache",
    "cache clear": "clear_cache",
    "serve": "server.serve",
    "backup": "server.back_up",
    "dicom routes": "server.check_routes",
    "dicom unsent": "server.find_unsent",
    "users add": "server.add_account",
    "users list": "server.list_accounts",
    "users disable": "server.disable_account",
    "users password": "server.set_password",
    "monitor": "server.monitor_model",
    "reads report": "server.report_reads",
    "reads export": "server.export_site",
    "reads exports": "server.list_site_exports",
}
"""Command -> what a Python user calls."""


def public(name: str) -> object:
    value: object = ps
    for step in name.split("."):
        value = getattr(value, step)
    return value


def test_every_command_has_its_function() -> None:
    commands = set()
    for name in COMMANDS:
        inner = getattr(load_command(name), "commands", None)
        commands |= {name} if not inner or name == "cache" else set()
        commands |= {f"{name} {each}" for each in inner or ()}
    assert commands == set(FUNCTIONS)


def public_functions() -> dict[str, Callable[..., Any]]:
    """Return each public function and each public method that a public class defines itself."""
    functions: dict[str, Callable[..., Any]] = {}
    for prefix, module in (("", ps), ("server.", ps.server)):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                functions[prefix + name] = value
            for method in vars(value) if inspect.isclass(value) else ():
                inner = getattr(value, method)
                if not method.startswith("_") and (inspect.isfunction(inner) or inspect.ismethod(inner)):
                    functions[f"{prefix}{name}.{method}"] = inner
    return functions


def raised_names(function: Callable[..., Any]) -> set[str]:
    """Return the errors that a function raises by itself; those of what it calls can't be read from its text."""
    tree = parse_source(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return {ast.unparse(call.func) for call in calls if isinstance(call, ast.Call)}


@pytest.mark.parametrize("name", sorted(public_functions()))
def test_a_function_documents_its_arguments_result_and_errors(name: str) -> None:
    function = public_functions()[name]
    text, signature = inspect.getdoc(function) or "", inspect.signature(function)
    for parameter in signature.parameters:
        assert parameter == "self" or f"\n    {parameter}: " in text.partition("Args:")[2], parameter
    assert str(signature.return_annotation) == "None" or "\nReturns:\n" in text or "\nYields:\n" in text
    for error in raised_names(function):
        assert error in text.partition("Raises:")[2], error


@pytest.mark.parametrize("name", [*ps.__all__, *(f"server.{name}" for name in ps.server.__all__)])
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = public(name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)
    for attribute, inner in vars(value).items() if inspect.isclass(value) else ():
        assert not isinstance(inner, property) or attribute.startswith("_") or inspect.getdoc(inner)


@pytest.mark.parametrize("name", sorted(public_functions()))
def test_what_a_function_returns_is_public(name: str) -> None:
    annotation = str(inspect.signature(public_functions()[name]).return_annotation)
    classes = set(re.findall(r"\b[A-Z]\w+", annotation)) - {"None", *typing.__all__}
    assert classes <= {*ps.__all__, *ps.server.__all__, "Path", "Output", "Border", "Finding", "BundleError", "NDArray"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ps.evaluate("builtin", "m.parquet", None), "`part`: is None, which is not a text."),
        (lambda: ps.evaluate("builtin", None), "`data`: is None, which is not a Manifest, a text or a path."),
        (lambda: ps.draw_phantoms("set", per_class="3"), "`per_class`: is '3', which is not a whole number."),
        (lambda: ps.draw_phantoms("set", labels=5), "`labels`: is 5, which is not a list of which each is a text."),
        (lambda: ps.draw_phantoms("set", seed=True), "`seed`: is True, which is not a whole number."),
        (lambda: ps.split("m.parquet", test="half"), "`test`: is 'half', which is not a number or None."),
        (
            lambda: ps.split("m.parquet", roots={"nih": 3}),
            "`roots`: is {'nih': 3}, which is not a mapping",
        ),
        (lambda: ps.load(None), "`model`: is None, which is not a text or a path."),
        (lambda: ps.load("builtin").predict(None), "`inputs`: is None"),
        (lambda: ps.predict(None), "`paths`: is None"),
        (lambda: ps.predict("a.png", workers="2"), "`workers`: is '2', which is not a whole number or None."),
        (lambda: ps.predict("a.png", on_row=3), "`on_row`: is 3, which is not a function or None."),
        (lambda: ps.list_bundles(3), "`folders`: is 3"),
        (lambda: ps.clear_cache(["images", 3]), "`names[1]`: is 3, which is not a text."),
        (lambda: ps.read(b"bytes"), "`path`: is b'bytes', which is not a text or a path."),
        (lambda: ps.server.back_up(None, "copy"), "`settings`: is None, which is not a Settings."),
        (lambda: ps.Recipe.load(None), "`name`: is None, which is not a text or a path."),
        (lambda: ps.Manifest.read(None), "`path`: is None, which is not a path or a text."),
    ],
)
def test_an_argument_of_another_kind_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ps.errors.UsageError, match=re.escape(message)):
        call()


def test_values_that_stand_for_their_kind_are_taken() -> None:
    @check_arguments
    def take(number: float, names: Sequence[str] = (), count: int = 0) -> tuple[object, ...]:
        return number, names, count

    assert take(1, "one", np.int64(3)) == (1, "one", 3)
    assert take(np.float32(0.5), ["a", "b"])[1] == ["a", "b"]


@pytest.fixture(scope="session")
def tiny_recipe() -> ps.Recipe:
    """The published network of 150 pixels at 32, for one epoch: about a second."""
    pytest.importorskip("torch")
    sets = ["task.classes=[covid-19, normal]", "input.size=32", "head.hidden=[8]", "training.epochs=1"]
    return ps.Recipe.load("cnn-150", [*sets, "training.batch_size=8"])


class Folders(typing.NamedTuple):
    """What the functions left behind."""

    manifest: Path
    run: ps.Run
    images: Path


@pytest.fixture(scope="session")
def folders(tiny_recipe: ps.Recipe, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Phantoms, divided and checked, and a model that was trained on them: what the other functions take."""
    folder = tmp_path_factory.mktemp("api")
    drawn = ps.draw_phantoms(folder / "set", per_class=14, labels=["covid-19", "normal"], size=48)
    manifest, _ = ps.split(drawn, folder / "m.parquet", test=0.2, validation=0.25, calibration=0.3)
    assert ps.check(manifest).passes()
    run = ps.train(tiny_recipe, manifest, folder / "run", device="cpu")
    return Folders(folder / "m.parquet", run, folder / "set" / "images")


@pytest.mark.torch
def test_a_run_measures_predicts_and_reports(folders: Folders, tmp_path: Path) -> None:
    evaluation = ps.evaluate(folders.run.folder, folders.manifest, "test", resamples=200)
    assert evaluation.figures.images == len(ps.Manifest.read(folders.manifest).part("test"))
    assert "opening" in [fact.kind for _, fact in ps.describe_bundle(folders.run.bundle).evidence]
    model = ps.load(folders.run.folder)
    table = model.predict(folders.images)
    summary = ps.predict(folders.images, model, output=tmp_path / "p.csv")
    assert summary.files == len(table) == ps.describe(folders.manifest)["images"]
    assert dict(summary.decisions) == table.loc[~table["refused"], "decision"].value_counts().to_dict()
    assert ps.predict(tmp_path / "absent.png", model).failed == 1
    assert ps.report(model, tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert ps.verify(model)


@pytest.mark.torch
def test_recipes_are_compared(folders: Folders, tiny_recipe: ps.Recipe, tmp_path: Path) -> None:
    shutil.copytree(folders.run.folder, tmp_path / "runs" / "cnn-150")  # what is finished is not trained again
    comparison = ps.compare([tiny_recipe], folders.manifest, tmp_path, device="cpu")
    assert [row.name for row in comparison.tables[0].rows] == ["cnn-150"]


@pytest.mark.torch
def test_a_recipe_is_tuned(
    folders: Folders, tiny_recipe: ps.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The best recipe would be trained like the run that is there: half a minute for nothing.
    monkeypatch.setattr("pneumoscope.workflows.tune.train_plan", lambda *args, **options: folders.run)
    search = tmp_path / "search.yaml"
    search.write_text("name: tiny\nparameters: {optimizer.lr: [0.001, 0.01]}\n")
    options = {"search": str(search), "trials": 1, "split": "validation", "device": "cpu"}
    tuning = ps.tune(tiny_recipe, folders.manifest, tmp_path / "tuned", **options)  # type: ignore[arg-type]
    assert len(tuning.summary.trials) == 1
    assert tuning.run == folders.run
    assert ps.Recipe.load(tuning.folder / "best.yaml").training.epochs == 1


def test_the_front_modules_are_lazy_and_complete() -> None:
    assert set(ps.__all__) <= set(dir(ps))
    assert set(ps.server.__all__) <= set(dir(ps.server))
    code = "import sys, pneumoscope; print([n for n in ('numpy', 'pydantic', 'yaml', 'torch') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
    with pytest.raises(AttributeError, match="has no attribute 'diagnose'"):
        ps.diagnose  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ps.evaluate("builtin", "m.parquet", workers=0), "`workers=0`"),
        (lambda: ps.evaluate("builtin", "m.parquet", seed=-1), "`seed=-1`"),
        (lambda: ps.predict("images", workers=0), "`workers=0`"),
        (lambda: ps.split("m.parquet", seed=-1), "`seed=-1`"),
        (lambda: ps.draw_contact_sheet("m.parquet", "s.png", columns=0), "`columns=0`"),
        (lambda: ps.draw_contact_sheet("m.parquet", "s.png", side=0), "`side=0`"),
        (lambda: ps.draw_phantoms("p", seed=-1), "`seed=-1`"),
        (lambda: ps.tune("lenet-128", "m.parquet", "t", trials=0), "`trials=0`"),
        (lambda: ps.compare("lenet-128", "m.parquet", "c", seeds=0), "`seeds=0`"),
        (lambda: ps.Model(None, None, None, None), "`folder`: is None"),  # type: ignore[arg-type]
    ],
)
def test_a_number_below_its_least_is_refused_before_anything_is_read(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ps.errors.UsageError, match=re.escape(words)):
        call()


def test_dir_lists_the_public_names_alone() -> None:
    assert [name for name in dir(ps) if not name.startswith("_")] == sorted(set(ps.__all__) - {"__version__"})


@pytest.mark.parametrize("options", [{"output": "FILE/x.csv"}, {"html": "FILE/x.html"}, {"output": "FOLDER.csv"}])
def test_a_place_where_no_file_can_be_made_is_refused_first(tmp_path: Path, options: dict[str, str]) -> None:
    (tmp_path / "FILE").touch()
    (tmp_path / "FOLDER.csv").mkdir()
    places: dict[str, Any] = {name: tmp_path / place for name, place in options.items()}
    with pytest.raises(ps.errors.UsageError, match="is a f"):
        ps.predict("absent", **places)
