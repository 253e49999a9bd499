"""Results as DICOM objects, and the studies whose results are not handed on yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables. Studies that came before are not among those to be handed on."""
    op.create_table(
        "result_objects",
        sa.Column("sop_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class", sa.String(length=64), nullable=False),
        sa.Column("series_uid", sa.String(length=64), nullable=False),
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("predecessor", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("made", sa.Double(), nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sop_uid"),
    )
    op.create_index("ix_result_objects_study", "result_objects", ["study"], unique=False)
    op.create_index("ix_result_objects_blob", "result_objects", ["blob"], unique=True)
    op.create_table(
        "arriving_studies",
        sa.Column("study", sa.String(length=64), nullable=False),
        sa.Column("last", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study"),
    )
    op.create_index("ix_arriving_studies_last", "arriving_studies", ["last"], unique=False)
