"""Runs, events, checkpoints, attempts and request ids."""

import sqlalchemy as sa
from alembic import op
from tabrl_chassis.idempotency import request_id_columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(36), nullable=False, unique=True),
        sa.Column("environment_id", sa.String(100), nullable=False, index=True),
        sa.Column("environment_fingerprint", sa.String(64), nullable=False),
        sa.Column("spec", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Integer, nullable=False, index=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("metrics", sa.LargeBinary),
        sa.Column("error_reason", sa.String(60)),
        sa.Column("error_message", sa.Text),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("publishing", sa.String(20), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True)),
        sa.Column("end_time", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "events",
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("event", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.run_id"), nullable=False, index=True),
        sa.Column("env_steps", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("episode_return", sa.Double),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("policy_id", sa.String(100), nullable=False),
        sa.Column("publication", sa.String(20), nullable=False, index=True),
    )
    op.create_table(
        "attempts",
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True)),
        sa.Column("startup_secs", sa.Double),
        sa.Column("training_secs", sa.Double, nullable=False),
        sa.Column("env_steps", sa.BigInteger, nullable=False),
    )
    op.create_table("request_ids", *request_id_columns())
