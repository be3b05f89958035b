"""What goes into a log, and what must not."""

import json
import subprocess
import sys

import pytest

FAILING = """
import sys
from tabrl_chassis.logs import configure_logs

log = configure_logs("test", log_format=sys.argv[1])

def connect(password):
    raise ConnectionError("refused")

try:
    connect("hunter2" + "-secret")
except ConnectionError:
    log.exception("cannot connect", host="db")
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_names_the_error_and_no_values(log_format):
    done = subprocess.run([sys.executable, "-c", FAILING, log_format], capture_output=True, text=True, check=True)
    assert "cannot connect" in done.stderr
    assert "ConnectionError" in done.stderr
    assert "hunter2-secret" not in done.stderr
    if log_format == "json":
        (line,) = done.stderr.splitlines()
        assert json.loads(line)["host"] == "db"
