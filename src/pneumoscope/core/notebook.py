"""HTML for notebooks: small tables and pictures that `_repr_html_` methods return."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from pneumoscope.core.labels import DISCLAIMER


def html_table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; every cell is escaped, None is an empty cell.

    Args:
        head: The column's names; an empty sequence leaves the head out.
        rows: The cells.
    """
    top = f"<thead><tr>{''.join(f'<th>{_cell(name)}</th>' for name in head)}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def html_list(lines: Iterable[object]) -> str:
    """Return a list; every line is escaped."""
    return f"<ul>{''.join(f'<li>{_cell(line)}</li>' for line in lines)}</ul>"


def html_png(png: bytes, alt: str) -> str:
    """Return a PNG picture inside the page; ``alt`` says in words what it shows."""
    data = b64encode(png).decode("ascii")
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def html_heading(text: object) -> str:
    """Return a line in bold."""
    return f"<p><strong>{_cell(text)}</strong></p>"


def html_text(text: object) -> str:
    """Return a paragraph."""
    return f"<p>{_cell(text)}</p>"


def html_disclaimer() -> str:
    """Return the sentences that every result must show."""
    return f"<p><small>{_cell(DISCLAIMER)}</small></p>"


def _cell(value: object) -> str:
    return "" if value is None else escape(str(value))
