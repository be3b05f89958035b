"""Runs that are trained elsewhere: by whom, by which call, how much of it was heard, and what it has cost."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; all that was trained before was trained on the own machine."""
    op.add_column("runs", sa.Column("executor", sa.String(20), nullable=False, server_default="local"))
    op.add_column("runs", sa.Column("cost_usd", sa.Double))
    op.add_column("attempts", sa.Column("call_id", sa.String(100)))
    op.add_column("attempts", sa.Column("heard_life", sa.Integer, nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("heard_seq", sa.Integer, nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("life_secs", sa.Double, nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("billed_secs", sa.Double, nullable=False, server_default="0"))
