"""Why a checkpoint was refused."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; checkpoints that were refused before keep their line in the run's log."""
    op.add_column("checkpoints", sa.Column("refusal_reason", sa.String(60)))
    op.add_column("checkpoints", sa.Column("refusal_message", sa.Text))
