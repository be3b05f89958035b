"""Alembic revisions of the Exporter's database."""
