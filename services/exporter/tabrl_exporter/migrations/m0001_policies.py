"""Policies."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "policies",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("policy_id", sa.String(100), nullable=False, unique=True),
        sa.Column("environment_id", sa.String(100), nullable=False, index=True),
        sa.Column("run_id", sa.String(100), nullable=False, index=True),
        sa.Column("policy", sa.LargeBinary, nullable=False),
    )
