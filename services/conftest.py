"""What the tests of all services may ask for."""

import pytest
import structlog
from tabrl_chassis.testing import postgresql


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks():
    """Log tracebacks as services do: those with the values of variables take seconds to draw."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])


@pytest.fixture(scope="session")
def postgresql_server():
    """A PostgreSQL server of the tests' own; `make test` installs its programs."""
    with postgresql.server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The URL of an empty database: a test that asks for it runs on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'database' / 'test.db'}"
        return
    with request.getfixturevalue("postgresql_server").database() as url:
        yield url
