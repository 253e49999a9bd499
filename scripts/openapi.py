"""Prints the server's OpenAPI description, from which the web app's types are made."""

import json
import tempfile
from pathlib import Path

from pneumoscope.server.app import create_app
from pneumoscope.server.settings import Settings

with tempfile.TemporaryDirectory() as folder:
    app = create_app(Settings(home=Path(folder), workers=0))
    print(json.dumps(app.openapi(), sort_keys=True))
    app.state.context.store.close()
