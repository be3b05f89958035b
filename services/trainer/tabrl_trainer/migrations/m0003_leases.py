"""Which Trainer trains a run, and until when it may without saying so again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; what trained before is taken over at once."""
    op.add_column("runs", sa.Column("lease_holder", sa.String(40), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("lease_until", sa.DateTime(timezone=True)))
