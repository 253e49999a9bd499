"""When tokens end, whom a patient's number may mean, and failed logins by address."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_QUARTER = 90 * 24 * 3600.0
"""Seconds that a token of an earlier version still lives."""


def upgrade() -> None:
    """Add the columns, and the table of failed logins."""
    op.add_column("tokens", sa.Column("expires", sa.Double(), nullable=False, server_default="0"))
    op.execute(sa.text("UPDATE tokens SET expires = :end").bindparams(end=time.time() + _QUARTER))
    op.add_column("identities", sa.Column("number", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("identities", sa.Column("scope", sa.String(length=64), nullable=False, server_default=""))
    op.execute(sa.text("UPDATE identities SET number = key"))
    op.create_index("ix_identities_number", "identities", ["number"], unique=False)
    op.create_table(
        "login_attempts",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.Double(), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account", "address"),
    )
