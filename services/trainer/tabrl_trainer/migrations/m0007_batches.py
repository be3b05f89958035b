"""Batches of runs, their candidates and how those were judged."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables, and say of each run which batch it is of and where that has it pause."""
    op.add_column("runs", sa.Column("batch_id", sa.String(40), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("pause_env_steps", sa.BigInteger))
    op.create_index("ix_runs_batch_id", "runs", ["batch_id"])
    op.create_table(
        "batches",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("batch_id", sa.String(40), nullable=False, unique=True),
        sa.Column("spec", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Integer, nullable=False, index=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("winner", sa.Integer),
        sa.Column("winner_reason", sa.Text, nullable=False),
        sa.Column("error_reason", sa.String(60)),
        sa.Column("error_message", sa.Text),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "batch_candidates",
        _batch_id(),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False, index=True),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("parameters", sa.Text, nullable=False),
    )
    op.create_table(
        "batch_evaluations",
        _batch_id(),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rung", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("evaluation", sa.LargeBinary, nullable=False),
        sa.Column("scores", sa.Text, nullable=False),
    )


def _batch_id() -> sa.Column[str]:
    return sa.Column("batch_id", sa.String(40), sa.ForeignKey("batches.batch_id"), primary_key=True)
