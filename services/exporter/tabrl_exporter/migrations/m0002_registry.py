"""Names with their versions and tags; policies are found by their checkpoint and by the one it was trained from."""

import sqlalchemy as sa
from alembic import op
from tabrl.exporter.v1 import exporter_pb2

revision = "0002"
down_revision = "0001"

_POLICIES = sa.table(
    "policies",
    sa.column("number", sa.Integer),
    sa.column("policy", sa.LargeBinary),
    sa.column("checkpoint_sha256", sa.String),
    sa.column("parent_checkpoint_sha256", sa.String),
)


def upgrade() -> None:
    """Make the tables, and fill in what the policies on record say."""
    with op.batch_alter_table("policies") as table:
        for name in ("checkpoint_sha256", "parent_checkpoint_sha256"):
            table.add_column(sa.Column(name, sa.String(64), nullable=False, server_default=""))
            table.create_index(f"ix_policies_{name}", [name])
    connection = op.get_bind()
    for number, body in connection.execute(sa.select(_POLICIES.c.number, _POLICIES.c.policy)).all():
        policy = exporter_pb2.Policy.FromString(body)
        connection.execute(
            _POLICIES.update()
            .where(_POLICIES.c.number == number)
            .values(
                checkpoint_sha256=policy.checkpoint_sha256,
                parent_checkpoint_sha256=policy.lineage.parent_checkpoint_sha256,
            )
        )
    op.create_table(
        "registered_policies",
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("environment_id", sa.String(100), nullable=False, index=True),
        sa.Column("next_number", sa.Integer, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False, index=True),
    )
    op.create_table(
        "policy_versions",
        sa.Column("name", sa.String(60), sa.ForeignKey("registered_policies.name"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("policy_id", sa.String(100), sa.ForeignKey("policies.policy_id"), nullable=False, index=True),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("name", "policy_id", name="uq_policy_versions_policy"),
    )
    op.create_table(
        "version_tags",
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("tag", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("earlier", sa.Text, nullable=False),
        sa.Column("set_time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["name", "number"], ["policy_versions.name", "policy_versions.number"]),
    )
