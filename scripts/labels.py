"""Prints the names of the built-in labels, from which the web app has its own: label -> language -> name."""

import json

from pneumoscope.core.labels import LabelSet

names = {label.identifier: dict(label.names) for label in LabelSet.builtin().values() if not label.none}
print(json.dumps(names, ensure_ascii=False, indent=2))
