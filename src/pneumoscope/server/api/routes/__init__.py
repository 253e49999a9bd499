"""Routes: each reads the request, calls one function and answers. ``ROUTES`` lists the modules."""

from pneumoscope.server.api.routes import dashboard, models, reads, studies, system, uploads

ROUTES = tuple(module.routes for module in (system, uploads, studies, reads, models, dashboard))
"""Each makes one router."""
