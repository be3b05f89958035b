"""What a run goes on from, checkpoints whose files are not kept, and files to be deleted."""

import sqlalchemy as sa
from alembic import op
from tabrl_chassis.database import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns and the table; until now everything was kept, and every run started from scratch."""
    op.add_column("runs", sa.Column("start_sha256", sa.String(64), nullable=False, server_default=""))
    op.create_index("ix_runs_start_sha256", "runs", ["start_sha256"])
    op.add_column("checkpoints", sa.Column("pruned", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "unwanted_files",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("since", UtcDateTime, nullable=False),
    )
