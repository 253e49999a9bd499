"""Files of objects that came from peers, as they came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "kept_files",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=False),
        sa.Column("syntax", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["archived_objects.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["study"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_kept_files_study", "kept_files", ["study"])
    op.create_index("ix_kept_files_blob", "kept_files", ["blob"], unique=True)
