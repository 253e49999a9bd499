"""Headers of DICOM files that were uploaded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "uploaded_headers",
        sa.Column("image", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["image"], ["images.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image"),
    )
