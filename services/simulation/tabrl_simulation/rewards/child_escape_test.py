"""Source that escaped the language, in the real child: the jail alone must hold it."""

import asyncio
import sys
import textwrap

import pytest
import pytest_asyncio

from tabrl_simulation.rewards import pool as pools
from tabrl_simulation.rewards.message import MessageRefused
from tabrl_simulation.rewards.pool import ChildDied, ChildTooSlow, JailPool

# The real child, but for the checker: it lets everything through.
UNCHECKED = """
import ast
import sys
from tabrl_simulation.rewards import child

prepare = child._prepare_tracing

def unchecked():
    serve = prepare()
    from tabrl_simulation.rewards import tracing
    from tabrl_simulation.rewards.checker import CheckedSource
    tracing.check = lambda source, robot: CheckedSource(
        source=source, term_places={}, return_place=(1, 1), parameters=("state", "action"), tree=ast.parse(source)
    )
    return serve

child._prepare_tracing = unchecked
sys.exit(child.main("trace"))
"""

# A term is named for what became of each attempt, as names are all that leaves.
HOSTILE = """
def reward(state, action):
    builtins = near.__globals__["__builtins__"]
    load = builtins["__import__"]
    os, ctypes, fcntl, socket = load("os"), load("ctypes"), load("fcntl"), load("socket")
    jax = load("jax")
    found = {{}}

    def libc(*arguments):
        # not ctypes.CDLL: what is there already is what an escape would use
        if ctypes.pythonapi.open(*arguments) < 0:
            raise builtins["OSError"]("denied")

    attempts = {{
        "secret": lambda: builtins["open"]({secret!r}).read(),
        "overwrite": lambda: builtins["open"]({secret!r}, "w"),
        "append": lambda: os.open({secret!r}, os.O_WRONLY | os.O_APPEND),
        "empty": lambda: os.open({secret!r}, os.O_RDONLY | os.O_TRUNC),
        "passwords": lambda: builtins["open"]("/etc/passwd").read(),
        "parent": lambda: builtins["open"]("/proc/" + builtins["str"](os.getppid()) + "/environ", "rb").read(),
        "libc_read": lambda: libc({secret!r}.encode(), 0),
        "libc_write": lambda: libc({secret!r}.encode(), 1),
        "socket": lambda: socket.socket(),
        "fork": lambda: os.fork(),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {{}}),
        "kill": lambda: os.kill(os.getppid(), 0),
        "kill_by_descriptor": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()),
    }}

    def attempt(prefix):
        for name, act in attempts.items():
            try:
                act()
                found[prefix + name] = "open"
            except builtins["OSError"]:
                found[prefix + name] = "denied"

    def called_back():
        attempt("callback_")
        return load("numpy").float32(0.0)

    attempt("main_")
    with jax.ensure_compile_time_eval():
        jax.block_until_ready(jax.pure_callback(called_back, jax.ShapeDtypeStruct((), "float32")))
    seen = {{}}
    for name, outcome in found.items():
        seen[outcome] = [*seen.get(outcome, []), name]
    return {{
        "open_" + builtins["str"](builtins["len"](seen.get("open", []))): 1.0,
        "denied_" + builtins["str"](builtins["len"](seen.get("denied", []))): 1.0,
        **{{name: 1.0 for name in seen.get("open", [])}},
    }}
"""

CALLBACK_IN_PROGRAM = """
def reward(state, action):
    jax = near.__globals__["__builtins__"]["__import__"]("jax")
    return {"a": jax.pure_callback(lambda x: x, jax.ShapeDtypeStruct((), "float32"), action[0])}
"""


ENDLESS = """
def reward(state, action):
    load = near.__globals__["__builtins__"]["__import__"]
    os, time = load("os"), load("time")
    while True:
        {step}
"""
STEPS = {
    "sleep": "time.sleep(1000)",
    "spin": "pass",
    # its answers leave through one of these
    "flood every descriptor": """for descriptor in range(64):
            try:
                os.write(descriptor, b"x" * 65536)
            except OSError:
                pass""",
}


@pytest_asyncio.fixture
async def unchecked(tmp_path, monkeypatch):
    """A pool whose tracing children have no checker."""
    driver, child = tmp_path / "driver.py", tmp_path / "child.sh"
    driver.write_text(UNCHECKED)
    child.write_text(f"#!/bin/sh\nexec {sys.executable} -I {driver}\n")
    child.chmod(0o755)
    monkeypatch.setattr(pools.sys, "executable", str(child))
    async with JailPool() as pool:
        yield pool


async def test_source_that_escaped_the_language_stays_in_the_jail(unchecked, tmp_path, walker):
    # given source that reached Python's builtins, when it tries to get out by itself and from a callback of XLA, which
    # runs on whatever thread XLA likes, then the kernel refuses each way
    secret = tmp_path / "secret"
    secret.write_text("not for the jailed")
    source = textwrap.dedent(HOSTILE).format(secret=str(secret))
    fields, _ = await unchecked.ask("trace", {"source": source, "robot": walker.plain()})
    assert fields.get("terms") == ["open_0", "denied_26"], fields
    assert secret.read_text() == "not for the jailed"


async def test_a_callback_does_not_get_into_a_program(unchecked, walker):
    fields, blobs = await unchecked.ask("trace", {"source": CALLBACK_IN_PROGRAM, "robot": walker.plain()})
    assert fields["rejected"]
    assert not blobs


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
async def test_what_never_ends_is_ended(unchecked, walker, step):
    # given source that escaped and never ends, then nobody waits for more than fifteen seconds, and nothing of it stays
    assert pools._ANSWER_SECS <= 15
    unchecked.warm()
    await unchecked.ready()
    source = ENDLESS.format(step=step).replace("OSError", '(near.__globals__["__builtins__"]["OSError"])')
    source = source.replace("range(", 'near.__globals__["__builtins__"]["range"](')
    children = [task.result() for task in unchecked._warm.values()]
    async with asyncio.timeout(pools._ANSWER_SECS + 5):
        with pytest.raises((ChildTooSlow, ChildDied, MessageRefused)):
            await unchecked.ask("trace", {"source": source, "robot": walker.plain()})
    assert [child.returncode is None for child in children] == [False, True]
