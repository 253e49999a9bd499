"""Routes: each reads the request, calls one function and answers; ``ROUTERS`` lists them by module."""

from pneumoscope.server.api.routes import dashboard, models, reads, studies, system, uploads

ROUTERS = tuple(module.create_router for module in (system, uploads, studies, reads, models, dashboard))
"""Functions that each return one router."""
