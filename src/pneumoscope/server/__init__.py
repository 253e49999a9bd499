"""The server: studies in, predictions and reads out, over HTTP, without torch.

Read in this order: `settings` (what may be set), `storage.tables` (what is stored), `uploads.service` (from bytes to a
stored image), `inference.queue` (which prediction is made next), `security.permissions` (who may do what), `app`.

Domain code knows nothing of HTTP and raises the errors of `errors`; `api` turns requests into calls and errors into
answers. A package imports only from itself and from packages before it in this order: `storage`, `security`,
`inference`, `studies`, `uploads`, `reading`, `dicom`, `api`.

What an administrator does at the machine is in `administration`; those functions and `serve` can be imported from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pneumoscope.server.administration import (
        AccountEntry,
        add_account,
        back_up,
        check_routes,
        disable_account,
        export_site,
        find_unsent,
        list_accounts,
        list_site_exports,
        monitor_model,
        queue_unsent,
        report_reads,
        set_password,
        try_routes,
    )
    from pneumoscope.server.dicom.calling.unsent import UnsentResult
    from pneumoscope.server.dicom.routing.dry_run import DryRun
    from pneumoscope.server.dicom.routing.routes import Routes
    from pneumoscope.server.reading.exports import ReadExport
    from pneumoscope.server.reading.monitor import MonitorReport
    from pneumoscope.server.reading.report import SiteReport
    from pneumoscope.server.run import RunningServer, serve
    from pneumoscope.server.settings import DicomSettings, Settings, default_home
    from pneumoscope.server.storage.export_ledger import ExportRecord

_MODULES = {
    "AccountEntry": "administration",
    "DicomSettings": "settings",
    "DryRun": "dicom.routing.dry_run",
    "ExportRecord": "storage.export_ledger",
    "MonitorReport": "reading.monitor",
    "ReadExport": "reading.exports",
    "Routes": "dicom.routing.routes",
    "RunningServer": "run",
    "Settings": "settings",
    "SiteReport": "reading.report",
    "UnsentResult": "dicom.calling.unsent",
    "add_account": "administration",
    "back_up": "administration",
    "check_routes": "administration",
    "default_home": "settings",
    "disable_account": "administration",
    "export_site": "administration",
    "find_unsent": "administration",
    "list_accounts": "administration",
    "list_site_exports": "administration",
    "monitor_model": "administration",
    "queue_unsent": "administration",
    "report_reads": "administration",
    "serve": "run",
    "set_password": "administration",
    "try_routes": "administration",
}
"""Public name -> the module that it comes from."""

__all__ = [
    "AccountEntry",
    "DicomSettings",
    "DryRun",
    "ExportRecord",
    "MonitorReport",
    "ReadExport",
    "Routes",
    "RunningServer",
    "Settings",
    "SiteReport",
    "UnsentResult",
    "add_account",
    "back_up",
    "check_routes",
    "default_home",
    "disable_account",
    "export_site",
    "find_unsent",
    "list_accounts",
    "list_site_exports",
    "monitor_model",
    "queue_unsent",
    "report_reads",
    "serve",
    "set_password",
    "try_routes",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that a worker process that needs one module does not import them all.
    if name not in _MODULES:
        raise AttributeError(f"module 'pneumoscope.server' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"pneumoscope.server.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
