"""Alembic revisions of the Trainer's database."""
