"""Runs a service's revisions on the engine that `Database.migrate` hands over."""

from alembic import context

engine = context.config.attributes["engine"]
with engine.connect().execution_options(tabrl_write=True) as connection:
    context.configure(connection=connection, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
