"""Parity reports of exports that were refused."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "refused_exports",
        sa.Column("policy_id", sa.String(100), primary_key=True),
        sa.Column("report", sa.LargeBinary, nullable=False),
    )
