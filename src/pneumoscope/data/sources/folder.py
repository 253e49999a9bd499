"""Any folder of class folders: ``DIR/NAME/**/image``, with ``--map NAME=label`` for each name.

A name that is a label of the vocabulary maps to itself. A part of a name never decides.
"""

from __future__ import annotations

from pathlib import Path

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import LabelError
from pneumoscope.core.labels import LABELS, check_label
from pneumoscope.core.registry import several, suggestion
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.imaging.files import why_not_image


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images in the class folders of ``folder``; the folder nearest to the file that has a label decides."""
    mapping = {**{label: label for label in LABELS}, **options.mapping}
    for name, label in options.mapping.items():
        check_label(label, argument("mapping", {name: label}))
    listing = Listing(root=folder)
    unknown: dict[str, int] = {}
    used = set()
    for path in files_under(folder):
        name, reason = relative_name(path, folder), why_not_image(path)
        if reason is not None:
            listing.drop(name, reason)
            continue
        places = path.relative_to(folder).parts[:-1]
        term = next((place for place in reversed(places) if place in mapping), None)
        if term is None:
            place = places[0] if places else "."
            unknown[place] = unknown.get(place, 0) + 1
            if options.drop_unmapped:
                listing.drop(name, f"folder {place!r} has no label")
            continue
        used.add(term)
        listing.rows.append(
            Row(
                image=name,
                label=mapping[term],
                raw_label=term,
                license=options.license,
                label_provenance=options.provenance or f"class folder {term!r}",
            )
        )
    if unused := sorted(set(options.mapping) - used):
        hint = suggestion(unused[0], unknown)
        name = argument("mapping", {unused[0]: options.mapping[unused[0]]})
        raise LabelError(name, f"there is no folder of that name with images.{hint}")
    if unknown and not options.drop_unmapped:
        name = next(iter(unknown))
        raise LabelError(
            several(unknown),
            f"no label for these folders ({sum(unknown.values())} images).{suggestion(name.lower(), LABELS)}",
            f"Give {argument('mapping', {name: 'LABEL'})}, for each (labels: {', '.join(LABELS)}), or "
            "`drop_unmapped=True` to leave them out.",
        )
    return listing


SOURCE = Source(
    "folder",
    "class folders of your own, with --map NAME=label",
    scan,
    options=frozenset({"mapping", "drop_unmapped"}),
)
