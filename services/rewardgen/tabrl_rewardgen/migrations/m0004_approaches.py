"""Which of the rewards that were written together is which, and which came out the same as another."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table, with the approaches numbered in the order in which they were done.

    Which of them came out the same, or failed, was not kept: a call of before that is repeated writes those again.
    """
    op.create_table(
        "approaches",
        sa.Column("set_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("reward_id", sa.String(40), nullable=False),
        sa.Column("same_as", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.UniqueConstraint("set_id", "digest", name="uq_approaches_digest"),
    )
    op.execute(
        "INSERT INTO approaches (set_id, number, reward_id, same_as) "
        "SELECT set_id, ROW_NUMBER() OVER (PARTITION BY set_id ORDER BY sequence), reward_id, 0 "
        "FROM rewards WHERE set_id <> ''"
    )
    with op.batch_alter_table("rewards") as table:
        table.drop_index("ix_rewards_set_id")
        table.drop_column("set_id")


def downgrade() -> None:
    """Remove the table, but for what the earlier schema has room for."""
    with op.batch_alter_table("rewards") as table:
        table.add_column(sa.Column("set_id", sa.String(40), nullable=False, server_default=""))
        table.create_index("ix_rewards_set_id", ["set_id"])
    op.execute(
        "UPDATE rewards SET set_id = COALESCE("
        "(SELECT set_id FROM approaches WHERE approaches.reward_id = rewards.reward_id), '')"
    )
    op.drop_table("approaches")
