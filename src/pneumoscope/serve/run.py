"""Running the app with uvicorn: TLS, the proxy that is believed, and no line in a log that could name a patient."""

from __future__ import annotations

import logging

from pneumoscope.errors import UsageError
from pneumoscope.serve.app import create_app
from pneumoscope.serve.settings import Settings

_BUSY = 500
"""Connections; beyond it uvicorn answers 503."""
_STOP = 5
"""Seconds that open streams get when the server is stopped."""


def run(settings: Settings) -> None:
    """Serve until stopped.

    Raises:
        UsageError: The settings are not safe together, or nobody could log in.
    """
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it quotes what was sent
    app = create_app(settings)
    if settings.needs_login and not app.state.context.accounts.any_admin():
        raise UsageError("the server", "has no admin yet.", "Add one: pneumoscope users add NAME --admin")
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        proxy_headers=settings.proxy is not None,
        forwarded_allow_ips=settings.proxy or "",
        server_header=False,
        access_log=False,  # addresses hold search terms; who did what is in the audit log
        limit_concurrency=_BUSY,
        timeout_graceful_shutdown=_STOP,
    )
