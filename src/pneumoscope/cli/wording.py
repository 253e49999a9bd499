"""The words of an error for the command line: its options and commands in place of Python's arguments and functions.

Errors write `` `again=True` `` and `` `pneumoscope.split` `` (see `core.arguments`); here they read ``--again`` and
``pneumoscope data split``. Most options have the name of the argument; the others are in the table.
"""

from __future__ import annotations

import re
import shlex
from ast import literal_eval
from collections.abc import Mapping

OPTIONS = {
    name: f"--{name.replace('_', '-')}"
    for name in (
        "again", "allow", "allow_train", "calibration", "columns", "data", "database", "depth", "device",
        "drop_conflicts", "drop_missing", "drop_unmapped", "drop_unreadable", "encoding", "examples", "finalists",
        "folds", "grid", "heatmaps", "home", "host", "html", "ignore_other", "images", "key", "label", "margin",
        "masked", "masks", "metric", "name", "nested", "objective", "open_test", "out", "output", "part", "per_class",
        "port", "proxy", "pruner", "ratio", "repeats", "resamples", "resume", "retention", "sampler", "search",
        "secret", "seed", "seeds", "shortcut", "side", "size", "source", "source_name", "storage", "strict", "target",
        "test", "tls_certificate", "tls_key", "trials", "validation", "workers", "external", "origins", "retrain",
        "sampling", "reference", "window_days", "min_sensitivity", "min_specificity", "min_auroc",
        "target_sensitivity", "weeks", "false_alarms", "vocabulary", "keep_terms",
        "auroc", "prevalence", "sensitivity", "specificity", "width", "least_auroc", "least_sensitivity",
        "least_specificity", "uncertain", "sizes", "times", "non_inferiority_margin",
        "recalibrate", "address", "engine", "finding", "dicom_host", "dicom_port", "to", "runtime", "int8", "browser",
        "minimum_sensitivity", "dicom_quiet_seconds", "dicom_capture", "dicom_keep_files", "dicom_peer",
        "dicom_routes", "model", "models",
    )
} | {
    "body_parts": "--body-part",
    "check_data": "--checks",
    "design": "--design",
    "findings": "--finding",
    "formats": "--format",
    "hosts": "--name",
    "labels": "--label",
    "lenient_columns": "--bad-ages",
    "mapping": "--map",
    "modalities": "--modality",
    "overwrite": "--force",
    "part": "--split",
    "queue_limit": "--queue",
    "roots": "--root",
    "sets": "--set",
    "table": "--labels",
    "views": "--view",
}  # fmt: skip
"""Argument -> option."""

COMMANDS = {
    "certify": "certify",
    "check": "data check",
    "evaluate": "evaluate",
    "import_data": "data import",
    "export_bundle": "export",
    "predict": "predict",
    "server.add_account": "users add",
    "server.list_accounts": "users list",
    "server.list_site_exports": "reads exports",
    "split": "data split",
    "train": "train",
    "verify": "models verify",
}
"""Public function -> command."""

BAD_VALUES = {"age": "--bad-ages", "sex": "--bad-sexes", "view": "--bad-views"}
"""Column -> the option about its bad values."""

_PYTHON = re.compile(r"`(?P<name>[a-z_]+(?:\.[a-z_]+)*)(?:\[\d+\])?(?:=(?P<value>[^`]*))?`")


def for_command_line(text: str) -> str:
    """Return the text of an error with options and commands; what is in backquotes and neither of them stays."""
    return _PYTHON.sub(_replace, text)


def _replace(match: re.Match[str]) -> str:
    name, value = match["name"], match["value"]
    package, _, function = name.partition(".")
    if package == "pneumoscope" and function in COMMANDS:
        return f"pneumoscope {COMMANDS[function]}"
    if name == "allow" and value is not None and value.startswith("{"):
        return " ".join(f'--allow {check} --because "{reason}"' for check, reason in literal_eval(value).items())
    if name == "columns" and value is not None and value.startswith("{"):
        return " ".join(f"--{key.removesuffix('_id')}-column {each}" for key, each in literal_eval(value).items())
    if name == "lenient_columns":
        return " ".join(f"{BAD_VALUES.get(column, column)} null" for column in _values(value))
    if name == "mapping" and value is not None:
        return " ".join(f"--map {_quote(pair)}" for pair in _values(value))
    if name not in OPTIONS:
        return match[0]
    return " ".join([OPTIONS[name], *map(shlex.quote, _values(value))])


def _quote(text: str) -> str:
    """Return a word in double quotes, which every shell knows; as a POSIX shell needs it where they don't do."""
    return shlex.quote(text) if any(letter in text for letter in '"$`\\!') else f'"{text}"'


def _values(text: str | None) -> list[str]:
    """Return what stands behind an option for the value of an argument, which is a Python literal."""
    if text is None:
        return []
    try:
        value = literal_eval(text)
    except (ValueError, SyntaxError):  # an ellipsis in an example, or a text with backquotes
        return [text]
    if value is True:
        return []
    if isinstance(value, Mapping):
        return [f"{key}={each}" for key, each in value.items()]
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]
