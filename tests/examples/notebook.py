"""Run a notebook cell by cell in the shell that Jupyter's kernel wraps, and print what kinds of output each cell shows.

    python notebook.py NOTEBOOK

A kernel is a process of its own for each notebook, with all imports. The tests' program forks with the imports done.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output


def main(path: str) -> None:
    notebook = nbformat.reads(Path(path).read_text(encoding="utf-8"), as_version=4)
    nbformat.validate(notebook)
    shell = InteractiveShell.instance()
    kinds = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        with capture_output() as captured:
            result = shell.run_cell(cell.source, store_history=True)
        if not result.success:
            print(captured.stdout, captured.stderr)
            result.raise_error()
        shown = [dict(output.data) for output in captured.outputs]
        if result.result is not None:  # what the cell's last line shows
            shown.append(shell.display_formatter.format(result.result)[0])
        kinds.append(sorted({kind for data in shown for kind in data}))
    print(json.dumps(kinds))


if __name__ == "__main__":
    main(sys.argv[1])
