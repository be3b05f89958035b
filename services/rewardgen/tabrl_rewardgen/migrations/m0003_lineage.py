"""Rewards that were written together, and those that a person saved."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("rewards") as table:
        table.add_column(sa.Column("set_id", sa.String(40), nullable=False, server_default=""))
        table.add_column(sa.Column("saved_name", sa.String(200), nullable=False, server_default=""))
        table.create_index("ix_rewards_set_id", ["set_id"])


def downgrade() -> None:
    """Remove them."""
    with op.batch_alter_table("rewards") as table:
        table.drop_index("ix_rewards_set_id")
        table.drop_column("saved_name")
        table.drop_column("set_id")
