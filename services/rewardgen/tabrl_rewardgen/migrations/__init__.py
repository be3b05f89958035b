"""Alembic revisions of RewardGen's database."""
