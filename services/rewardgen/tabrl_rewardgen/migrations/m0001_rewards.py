"""The first schema: sealed rewards, and the request ids that made them."""

import sqlalchemy as sa
from alembic import op
from tabrl_chassis.idempotency import TABLE_NAME, request_id_columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "rewards",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("reward_id", sa.String(40), nullable=False, unique=True),
        sa.Column("environment_id", sa.String(100), nullable=False, index=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
    )
    op.create_table(TABLE_NAME, *request_id_columns())


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table(TABLE_NAME)
    op.drop_table("rewards")
