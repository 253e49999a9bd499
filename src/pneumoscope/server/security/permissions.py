"""What an account may do: the rules behind the routes.

Three places check a request, in this order:

1. `server.api.middleware` asks for a login on every route that is not expressly public, before the route runs.
2. A route that takes ``user: CurrentAdmin`` (`server.api.dependencies`) is for admins: `check_admin`.
3. What depends on the thing itself is checked where the thing is read: names of patients here (`check_sees_names`), a
   model's answer before the reader's own read in `server.reading.reads`.
"""

from __future__ import annotations

from pneumoscope.server.errors import ForbiddenError
from pneumoscope.server.security.principal import Principal


def check_admin(user: Principal) -> None:
    """Refuse an account that is no admin.

    Raises:
        ForbiddenError: The account is no admin.
    """
    if not user.is_admin:
        raise ForbiddenError("this address", "is for admins.", "Ask one of them.", code="admins-only")


def check_sees_names(user: Principal) -> None:
    """Refuse an account that may not see who was examined.

    Raises:
        ForbiddenError: The account may not.
    """
    if not user.sees_names:
        raise ForbiddenError("the identity", "is not for this account.", "Ask an admin.")


def check_logged_in(user: Principal, what: str) -> None:
    """Refuse a program, and a server without accounts, where a person has to act.

    Args:
        user: Who asks.
        what: What is done, as in "a password is changed".

    Raises:
        ForbiddenError: The sender has not logged in.
    """
    if user.via != "session":
        raise ForbiddenError(what, "by someone who has logged in.")


def check_may_create_token(user: Principal) -> None:
    """Refuse a program that would create a token with its own: a token can't create tokens.

    Raises:
        ForbiddenError: The sender has not logged in.
    """
    if user.via != "session":
        raise ForbiddenError("a token", "is made by someone who has logged in.")
