"""What an administrator does at the machine itself, each as one function of the server's settings.

The settings need only say where the server's data are: ``home``, ``database`` and ``secret``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.core.arguments import argument, check_arguments, quote
from pneumoscope.core.errors import UsageError
from pneumoscope.server.dicom.calling.unsent import UnsentResult, find_all_unsent, queue_all_unsent
from pneumoscope.server.dicom.routing.dry_run import DryRun, check_models, dry_run, find_number
from pneumoscope.server.dicom.routing.routes import Routes, read_routes
from pneumoscope.server.dicom.routing.terms import check_terms, note_unknown_decisions, note_unknown_senders
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.exports import ReadExport, export_reads
from pneumoscope.server.reading.monitor import MonitorReport, check_monitor, watch
from pneumoscope.server.reading.report import SiteReport, make_report
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.accounts import AccountChanges, Accounts
from pneumoscope.server.security.audit_log import CONSOLE, AuditEntry
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import export_ledger
from pneumoscope.server.storage.database import Store, database_file, open_store
from pneumoscope.server.storage.export_ledger import ExportRecord
from pneumoscope.server.studies import backup

_QUEUED = "dicom unsent --queue"
"""Stands in the audit log for each study of which something was queued."""


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account in a list.

    Args:
        name: What its owner logs in with.
        role: "admin" or "reader".
        sees_names: Whether it sees who was examined, not only a pseudonym.
        disabled: Whether it is locked out.
    """

    name: str
    role: str
    sees_names: bool
    disabled: bool


@check_arguments
def add_account(settings: Settings, name: str, password: str, *, admin: bool = False, sees_names: bool = False) -> None:
    """Add an account to a server.

    Args:
        settings: Where the server's data are.
        name: 1 to 64 printable characters.
        password: Its length is checked.
        admin: The account runs the server: it erases, switches models and sees the audit log.
        sees_names: The account sees who was examined, not only a pseudonym.

    Raises:
        UsageError: The name is taken or not printable, or the password is too short.

    Example:
        >>> ps.server.add_account(ps.server.Settings(home=Path("server")), "ada", "a long passphrase", admin=True)
    """
    with _accounts(settings) as accounts:
        accounts.add(name, password, "admin" if admin else "reader", sees_names=sees_names)


@check_arguments
def list_accounts(settings: Settings) -> list[AccountEntry]:
    """Return the accounts of a server, by name; a folder that is no server's stays as it is.

    Args:
        settings: Where the server's data are.

    Returns:
        One entry an account; empty where there is none.

    Raises:
        UsageError: The folder is not a server's.

    Example:
        >>> [account.name for account in ps.server.list_accounts(settings)]
    """
    with _existing_accounts(settings) as accounts:
        return [AccountEntry(row.name, row.role, row.sees_names, row.disabled) for row in accounts.list_all()]


@check_arguments
def disable_account(settings: Settings, name: str, *, undo: bool = False) -> None:
    """Lock an account out, or let it in again; its sessions and tokens end at once.

    Args:
        settings: Where the server's data are.
        name: The account's.
        undo: Let the account in again.

    Raises:
        UsageError: There is no such account.
        ConflictError: It is the last admin's; give it another password, or add another admin first.

    Example:
        >>> ps.server.disable_account(settings, "ada")
    """
    with _existing_accounts(settings) as accounts:
        accounts.change_named(name, AccountChanges(disabled=not undo))


@check_arguments
def set_password(settings: Settings, name: str, password: str) -> None:
    """Give an account another password; its sessions and tokens end, and locks are lifted.

    Args:
        settings: Where the server's data are.
        name: The account's.
        password: Its length is checked.

    Raises:
        UsageError: There is no such account, or the password is too short.

    Example:
        >>> ps.server.set_password(settings, "ada", "another long passphrase")
    """
    with _existing_accounts(settings) as accounts:
        accounts.change_named(name, AccountChanges(password=password))


@check_arguments
def back_up(settings: Settings, folder: str | Path) -> int:
    """Copy a server's data into a new folder while it runs; a server can be started on the copy.

    The secret, without which no name in the copy can be read, is not copied: keep it elsewhere.

    Args:
        settings: Where the server's data are, on SQLite.
        folder: Empty or not there.

    Returns:
        The number of images in the copy.

    Raises:
        UsageError: The folder holds something, or the database is PostgreSQL.
        RunError: A stored file is missing or altered.

    Example:
        >>> ps.server.back_up(ps.server.Settings(home=Path("server")), "backup")
    """
    with open_store_for(settings) as store:
        return backup.back_up(store, Path(folder))


@check_arguments
def report_reads(settings: Settings, model: str | None = None, *, finding: str | None = None) -> SiteReport:
    """Report the agreement of model and readers, and the accuracy against the reference standards that were entered.

    The report shows answers about studies that you may not have read yet.

    Args:
        settings: Where the server's data are; ``models`` is its folder of bundles.
        model: Its number, or "builtin"; None: the one with the most answers.
        finding: Which of a multi-label model's findings the figures are about; None: its first.

    Returns:
        The figures of one model at this site.

    Raises:
        UsageError: ``home`` is not a server's folder, or the model is not on this server or has no such finding.
        RunError: No model has answered yet.

    Example:
        >>> ps.server.report_reads(ps.server.Settings(home=Path("server"))).figures.counts
    """
    with _existing_store(settings) as store:
        catalogue = Catalogue(settings.models)
        with _named_model(catalogue, model):
            return make_report(store, catalogue, model, finding)


@check_arguments
def monitor_model(
    settings: Settings,
    model: str | None = None,
    *,
    weeks: int = 12,
    false_alarms: float = 1.0,
    finding: str | None = None,
) -> MonitorReport:
    """Compare a model's last weeks on a server with its acceptance at this site, or else with its card.

    The report tells sums of answers about studies that you may not have read yet.

    Args:
        settings: Where the server's data are; ``models`` is its folder of bundles.
        model: Its number, or "builtin"; None: the one with the most answers.
        weeks: Complete weeks to look at, the newest last.
        false_alarms: Weeks with a false alarm in a year, at most, over all measures together.
        finding: Which of a multi-label model's findings to watch; None: its first.

    Returns:
        Refusals, scores, out-of-distribution scores and agreement of readers by week, with alarms.

    Raises:
        UsageError: ``home`` is not a server's folder, a number is out of range, or the model is not on this server or
            has no such finding.
        RunError: No model has answered yet, or the model's bundle is no longer here.
        BundleError: The evidence about the model was altered.

    Example:
        >>> ps.server.monitor_model(ps.server.Settings(home=Path("server"))).alarm
    """
    check_monitor(weeks, false_alarms)
    with _existing_store(settings) as store:
        catalogue = Catalogue(settings.models)
        with _named_model(catalogue, model):
            return watch(store, catalogue, model, weeks=weeks, false_alarms=false_alarms, finding=finding)


@check_arguments
def export_site(settings: Settings, folder: str | Path) -> ReadExport:
    """Write images and a manifest to retrain from. Labels: the reference standard's, else unaided reads'.

    A read that saw a model's answer is never a label. Erasing a patient on the server reaches the folder while it stays
    where it is.

    Args:
        settings: Where the server's data are.
        folder: Empty or not there.

    Returns:
        What the export holds and what was left out.

    Raises:
        UsageError: The folder holds something, or ``home`` is not a server's folder.
        RunError: No study has a label, a stored file is missing or altered, or a study was erased during the export.

    Example:
        >>> ps.server.export_site(ps.server.Settings(home=Path("server")), "export").labels
    """
    with _existing_store(settings) as store:
        return export_reads(store, Path(folder))


@check_arguments
def list_site_exports(settings: Settings, *, forget: str | None = None) -> list[ExportRecord]:
    """List a server's exports, and try again to remove from them what was erased on the server.

    Args:
        settings: Where the server's data are.
        forget: Number of an export to strike from the ledger, since its copy is no more.

    Returns:
        The exports, the oldest first, each with the erased studies that could not be removed yet.

    Raises:
        UsageError: ``home`` is not a server's folder, or there is no export of the number to forget.

    Example:
        >>> [export.folder for export in ps.server.list_site_exports(settings)]
    """
    with _existing_store(settings) as store:
        if forget is not None:
            export_ledger.withdraw(store, forget)
        export_ledger.clear(store)
        with store.read() as session:
            return export_ledger.list_exports(session)


@check_arguments
def try_routes(settings: Settings, routes: str | Path, study: str) -> list[DryRun]:
    """Say what routing rules would do with the results of a study; nothing is made and nothing is sent.

    Args:
        settings: Where the server's data are; ``models`` is its folder of bundles.
        routes: A YAML file of destinations and rules.
        study: Number of the study, or its StudyInstanceUID.

    Returns:
        For each kind of result, and each model that makes it: what each rule says, and why.

    Raises:
        UsageError: The file is wrong, or ``home`` is not a server's folder.
        CheckRefusedError: A destination for clinical use has no recorded approval.
        NotFoundError: There is no such study.

    Example:
        >>> ps.server.try_routes(ps.server.Settings(home=Path("server")), "routes.yaml", study)[0].destinations
    """
    rules, catalogue = check_routes(routes, settings.models), Catalogue(settings.models)
    with _existing_store(settings) as store:
        try:
            number = find_number(store, study)
        except NotFoundError as error:
            # Who calls this named the study, so that its number tells nobody anything new.
            problem = f"{quote(study)} is not here, neither by that number nor by that StudyInstanceUID."
            raise NotFoundError("study", problem) from error
        runs = dry_run(store, catalogue, rules, number)
        audit_log.record_command(store, "dicom routes", number)
        return runs


@check_arguments
def find_unsent(settings: Settings, routes: str | Path) -> list[UnsentResult]:
    """Find the results that routing rules would send and that were never queued, such as those older than a rule.

    Nothing is queued. Studies that did not come from a peer or by STOW-RS, and results that were superseded or
    retracted, or whose model is switched off, are left out.

    Args:
        settings: Where the server's data are; ``models`` is its folder of bundles.
        routes: The server's YAML file of destinations and rules.

    Returns:
        One entry for a result and a destination.

    Raises:
        UsageError: The file is wrong, or ``home`` is not a server's folder.
        CheckRefusedError: A destination for clinical use has no recorded approval.

    Example:
        >>> len(ps.server.find_unsent(ps.server.Settings(home=Path("server")), "routes.yaml"))
    """
    rules, catalogue = check_routes(routes, settings.models), Catalogue(settings.models)
    with _existing_store(settings) as store:
        found = find_all_unsent(store, catalogue, rules)
        audit_log.record_command(store, "dicom unsent")
        return found


@check_arguments
def queue_unsent(settings: Settings, routes: str | Path) -> int:
    """Queue the results that `find_unsent` finds; the server sends them. What was queued before stays as it is.

    Args:
        settings: Where the server's data are; ``models`` is its folder of bundles.
        routes: The server's YAML file of destinations and rules.

    Returns:
        How many were queued, counted for each destination.

    Raises:
        UsageError: The file is wrong, or ``home`` is not a server's folder.
        CheckRefusedError: A destination for clinical use has no recorded approval.

    Example:
        >>> ps.server.queue_unsent(ps.server.Settings(home=Path("server")), "routes.yaml")
    """
    rules, catalogue = check_routes(routes, settings.models), Catalogue(settings.models)
    with _existing_store(settings) as store:
        return queue_all_unsent(store, catalogue, rules, lambda study: AuditEntry(CONSOLE, _QUEUED, study))


@check_arguments
def check_routes(routes: str | Path, models: Path | None = None) -> Routes:
    """Read a file of destinations and routing rules, and check it as a server does at its start.

    Args:
        routes: A YAML file.
        models: The server's folder of bundles.

    Returns:
        The destinations and rules.

    Raises:
        UsageError: The file is wrong, a rule names a model that is not here, or can never match.
        CheckRefusedError: A destination for clinical use has no recorded approval.

    Example:
        >>> list(ps.server.check_routes("routes.yaml").destinations)
    """
    rules = read_routes(Path(routes))
    check_terms(str(routes), rules)
    check_models(str(routes), rules, Catalogue(models))
    return rules


def note_routes(routes: Routes, models: Path | None = None, peers: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Return what is odd in routing rules and no error, such as a decision that no model of this server makes.

    Args:
        routes: The rules.
        models: The server's folder of bundles.
        peers: AE title and address of each peer that may send; none: nothing is said about senders.
    """
    return [*note_unknown_decisions(routes, Catalogue(models)), *note_unknown_senders(routes, peers)]


@contextmanager
def _existing_store(settings: Settings) -> Iterator[Store]:
    if not settings.files.is_dir():
        raise UsageError(argument("home", settings.home), "is not a server's folder.", "Name the one that serve uses.")
    if (database := database_file(settings)) is not None and not database.is_file():
        raise UsageError(
            argument("database", database), "is not there.", "Name the one that serve uses, or restore a backup."
        )
    with open_store_for(settings) as store:
        yield store


@contextmanager
def _named_model(catalogue: Catalogue, name: str | None) -> Iterator[None]:
    """Name the models that are here, where the one that was asked for is not."""
    try:
        yield
    except NotFoundError as error:
        if name is None:
            raise
        way_out = f"There are: {catalogue.describe_models()}; `models` names a folder of others."
        raise UsageError(argument("model", name), "is not on this server.", way_out) from error


@contextmanager
def open_store_for(settings: Settings) -> Iterator[Store]:
    """Open a server's store for the length of a block."""
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _accounts(settings: Settings) -> Iterator[Accounts]:
    with open_store_for(settings) as store:
        yield Accounts(store)


@contextmanager
def _existing_accounts(settings: Settings) -> Iterator[Accounts]:
    """Open the accounts of a server that is there; a wrong folder stays as it is."""
    with _existing_store(settings) as store:
        yield Accounts(store)
