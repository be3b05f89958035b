"""Policies are found by their controller."""

import sqlalchemy as sa
from alembic import op
from tabrl.exporter.v1 import exporter_pb2

revision = "0004"
down_revision = "0003"

_POLICIES = sa.table(
    "policies",
    sa.column("number", sa.Integer),
    sa.column("policy", sa.LargeBinary),
    sa.column("controller_sha256", sa.String),
)


def upgrade() -> None:
    """Add the column, and fill in what the policies on record say."""
    with op.batch_alter_table("policies") as table:
        table.add_column(sa.Column("controller_sha256", sa.String(64), nullable=False, server_default=""))
        table.create_index("ix_policies_controller_sha256", ["controller_sha256"])
    connection = op.get_bind()
    for number, body in connection.execute(sa.select(_POLICIES.c.number, _POLICIES.c.policy)).all():
        controller = exporter_pb2.Policy.FromString(body).controller
        connection.execute(
            _POLICIES.update().where(_POLICIES.c.number == number).values(controller_sha256=controller.sha256)
        )
