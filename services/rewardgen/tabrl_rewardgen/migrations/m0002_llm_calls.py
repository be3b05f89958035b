"""What each call of a language model cost."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "llm_calls",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.Float),
    )


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("llm_calls")
