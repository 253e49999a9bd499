"""Routes: each reads the request, calls one function and answers; ``ROUTERS`` lists them by module."""

from pneumoscope.server.api.routes import (
    accounts,
    archive,
    dashboard,
    device,
    dicomweb,
    models,
    outbound,
    priors,
    reads,
    results,
    search,
    studies,
    system,
    uploads,
)

_MODULES = (
    *(system, accounts, uploads, studies, results, search, reads, models, device, dashboard),
    *(outbound, priors, archive, dicomweb),
)
ROUTERS = tuple(module.create_router for module in _MODULES)
"""Functions that each return one router."""
