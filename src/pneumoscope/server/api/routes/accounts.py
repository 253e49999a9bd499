"""Accounts over HTTP, for admins who have logged in: list, add and change those who may log in.

A token can't manage accounts: it expires, and an account that it added would not. Nobody changes their own account
here: who takes rights away must keep them.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from pneumoscope.server.api.dependencies import AppContext, CurrentAdmin, set_audit_subject
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.accounts import AccountChange, AccountIn, AccountOut
from pneumoscope.server.errors import ConflictError
from pneumoscope.server.security.accounts import AccountChanges
from pneumoscope.server.security.permissions import check_logged_in


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api/accounts", tags=["accounts"])
    router.get("")(list_accounts)
    router.post("", status_code=201)(add_account)
    router.patch("/{account}")(change_account)
    return router


def list_accounts(context: AppContext, user: CurrentAdmin) -> list[AccountOut]:
    """List the accounts by name."""
    return [AccountOut.of(row) for row in context.accounts.list_all()]


async def add_account(request: Request, context: AppContext, user: CurrentAdmin, sent: AccountIn) -> AccountOut:
    """Add an account."""
    check_logged_in(user, "an account is added")

    def add() -> AccountOut:
        added = context.accounts.add(sent.name, sent.password, sent.role, sees_names=sent.sees_names, by=user.id)
        return AccountOut.of(added)

    added = await context.logins.run(_address_of(request), add)  # it hashes a password
    set_audit_subject(request, added.id)
    return added


async def change_account(
    request: Request, context: AppContext, user: CurrentAdmin, account: Id, sent: AccountChange
) -> AccountOut:
    """Change another's account. Disabling it or setting its password ends its sessions and tokens."""
    check_logged_in(user, "an account is changed")
    if account == user.id:
        raise ConflictError("your own account", "is changed by another admin.", code="own-account")

    def change() -> AccountOut:
        changes = AccountChanges(sent.role, sent.sees_names, sent.disabled, sent.password)
        return AccountOut.of(context.accounts.change(account, changes, by=user.id))

    if sent.password is None:
        return await run_in_threadpool(change)
    return await context.logins.run(_address_of(request), change)


def _address_of(request: Request) -> str:
    return request.client.host if request.client else ""
