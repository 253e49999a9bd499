"""Earlier studies that are fetched from an archive for comparison."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Mark studies that were fetched, and create the table of fetches."""
    op.add_column("studies", sa.Column("prior", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "prior_fetches",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt", sa.Double(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("lease", sa.Double(), nullable=False),
        sa.Column("message", sa.Integer(), nullable=True),
        sa.Column("queued", sa.Double(), nullable=False),
        sa.Column("finished", sa.Double(), nullable=True),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("prior", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["study"], ["studies.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["prior"], ["studies.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("study", "key"),
    )
    op.create_index("prior_fetches_due", "prior_fetches", ["state", "next_attempt"], unique=False)
    op.create_index("ix_prior_fetches_key", "prior_fetches", ["key"], unique=False)
    op.create_index("ix_prior_fetches_prior", "prior_fetches", ["prior"], unique=False)
