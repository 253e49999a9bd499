"""An index by which lists find the predictions of a study in a state."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index("predictions_by_study", "predictions", ["study", "state", "model"], unique=False)
