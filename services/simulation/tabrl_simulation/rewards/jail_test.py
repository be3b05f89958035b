"""The kernel's layers of the jail: what arbitrary Python can still do after `enter`."""

import json
import subprocess
import sys
import textwrap

import pytest

PROBE = """
import ctypes, json, os, signal, socket, sys, threading
import jax, jax.numpy as jnp
jnp.ones(2) + 1
from tabrl_simulation.rewards.jail import enter

def own_file():
    return open({secret!r}).read()

def parents_environment():
    return open(f"/proc/{{os.getppid()}}/environ", "rb").read()

def syscall(number, *arguments):
    if ctypes.CDLL(None, use_errno=True).syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "denied")

def shell():
    if os.system("true") != 0:
        raise OSError("denied")

def limit():
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

def memory():
    bytearray(3 << 30)

ATTEMPTS = {{
    "read a file": own_file,
    "read /etc/passwd": lambda: open("/etc/passwd").read(),
    "list the root": lambda: os.listdir("/"),
    "list the current folder": lambda: os.listdir("."),
    "write a file": lambda: open("/tmp/tabrl-jail-probe", "w"),
    "make a folder": lambda: os.mkdir("/tmp/tabrl-jail-probe"),
    "remove a file": lambda: os.remove({secret!r}),
    "rename a file": lambda: os.rename({secret!r}, {secret!r} + "2"),
    "link a file": lambda: os.link({secret!r}, {secret!r} + "3"),
    "change the mode of a file": lambda: os.chmod({secret!r}, 0o777),
    "truncate a file": lambda: os.truncate({secret!r}, 0),
    "read the parent's environment": parents_environment,
    "open a TCP socket": lambda: socket.socket(),
    "open a UDP socket": lambda: socket.socket(type=socket.SOCK_DGRAM),
    "open a Unix socket": lambda: socket.socket(socket.AF_UNIX),
    "make a socket pair": lambda: socket.socketpair(),
    "fork": os.fork,
    "execute": lambda: os.execv("/bin/true", ["true"]),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {{}}),
    "use a shell": shell,
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "trace the parent": lambda: syscall(101, 16, os.getppid(), 0, 0),
    "read the parent's memory": lambda: syscall(310, os.getppid(), 0, 0, 0, 0, 0),
    "make an anonymous file": lambda: os.memfd_create("x"),
    "mount": lambda: syscall(165, 0, 0, 0, 0, 0),
    "unshare": lambda: syscall(272, 0x10000000),
    "change the root": lambda: os.chroot("/tmp"),
    "change the user": lambda: os.setuid(12345),
    "use bpf": lambda: syscall(321, 0, 0, 0),
    "use io_uring": lambda: syscall(425, 1, 0),
    "use keys": lambda: syscall(250, 0, 0, 0, 0, 0),
    "raise a limit": limit,
    "take much memory": memory,
}}
enter()
found = {{}}
for name, attempt in ATTEMPTS.items():
    try:
        attempt()
        found[name] = "open"
    except (OSError, MemoryError, ValueError) as e:
        found[name] = type(e).__name__
found["compute"] = float(jax.jit(lambda x: jnp.sum(x * 2))(jnp.ones(3)))
thread = threading.Thread(target=lambda: found.update(thread=1))
thread.start(); thread.join()
sys.stdout.write(json.dumps(found))
"""


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    secret = tmp_path_factory.mktemp("outside") / "secret"
    secret.write_text("not for the jailed")
    code = textwrap.dedent(PROBE).format(secret=str(secret))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert secret.read_text() == "not for the jailed"
    return json.loads(done.stdout)


def test_everything_but_computing_is_denied(probed):
    # given a process inside the jail, when it tries to get out, then the kernel refuses each way
    allowed = {name for name, outcome in probed.items() if outcome == "open"}
    assert not allowed
    assert len(probed) >= 33


def test_computing_still_works(probed):
    assert probed["compute"] == 6.0
    assert probed["thread"] == 1


def test_endless_computing_is_stopped_by_the_processor_limit():
    # given little processor time, when the jailed process spins, then the kernel ends it
    code = (
        "import tabrl_simulation.rewards.jail as jail\njail._PROCESSOR_SECS = 1\njail.enter()\nwhile True:\n    pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode < 0


def test_a_kernel_without_the_layers_is_reported_and_nothing_runs():
    # given a process that may not use seccomp's installation when it enters, then it raises
    code = (
        "import pyseccomp\n"
        "def refuse(self): raise OSError(38, 'Function not implemented')\n"
        "pyseccomp.SyscallFilter.load = refuse\n"
        "from tabrl_simulation.rewards.jail import enter\n"
        "from tabrl_simulation.rewards.diagnostics import JailUnavailable\n"
        "try:\n    enter()\nexcept JailUnavailable as e:\n    import sys; sys.stdout.write(str(e))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "Function not implemented" in done.stdout


def test_a_layer_that_loads_but_does_not_hold_is_no_jail():
    code = (
        "import tabrl_simulation.rewards.jail as jail\n"
        "jail._restrict_calls = lambda pyseccomp: None\n"
        "from tabrl_simulation.rewards.diagnostics import JailUnavailable\n"
        "try:\n    jail.enter()\nexcept JailUnavailable as e:\n    import sys; sys.stdout.write(str(e))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "was not denied" in done.stdout
