"""Pausing runs, what people write beside them, and the text that they are found by."""

import sqlalchemy as sa
from alembic import op
from tabrl.trainer.v1 import trainer_pb2

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; runs of before are found by their environment, id and prompt."""
    op.add_column("runs", sa.Column("pause_requested", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("runs", sa.Column("tags", sa.Text, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("notes", sa.Text, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("searched", sa.Text, nullable=False, server_default=""))
    runs = sa.table("runs", sa.column("run_id"), sa.column("spec"), sa.column("searched"))
    connection = op.get_bind()
    for run_id, spec in connection.execute(sa.select(runs.c.run_id, runs.c.spec)).all():
        read = trainer_pb2.RunSpec.FromString(spec)
        text = f"{run_id}\n{read.environment_id}\n{read.title}".lower()
        connection.execute(runs.update().where(runs.c.run_id == run_id).values(searched=text))
