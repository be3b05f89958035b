"""The kernel's layers of the jail: what arbitrary Python can still do once it is closed, in threads young and old."""

import json
import subprocess
import sys
import textwrap

import pytest

PROBE = """
import ctypes, fcntl, json, os, resource, signal, socket, sys, threading
import pyseccomp
from tabrl_simulation.rewards.jail import confine_calls, confine_files
os.chdir({folder!r})
confine_files()
import jax, jax.numpy as jnp
jnp.ones(2) + 1

def own_file():
    return open({secret!r}).read()

def parents_environment():
    return open(f"/proc/{{os.getppid()}}/environ", "rb").read()

def syscall(name, *arguments):
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    if ctypes.CDLL(None, use_errno=True).syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "denied")

def shell():
    if os.system("true") != 0:
        raise OSError("denied")

def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

def memory():
    bytearray(3 << 30)

ATTEMPTS = {{
    "read a file": own_file,
    "read /etc/passwd": lambda: open("/etc/passwd").read(),
    "list the root": lambda: os.listdir("/"),
    "list the current folder": lambda: os.listdir("."),
    "write a file": lambda: open("/tmp/tabrl-jail-probe", "w"),
    "write to a file that is there": lambda: open({secret!r}, "r+"),
    "empty a file by opening it": lambda: os.open({secret!r}, os.O_RDONLY | os.O_TRUNC),
    "write to a device": lambda: open("/dev/null", "w"),
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
    "signal the parent by a descriptor": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()),
    "choose the signal of a descriptor": lambda: fcntl.fcntl(0, 10, signal.SIGKILL),
    "read the parent's limits": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU),
    "trace the parent": lambda: syscall("ptrace", 16, os.getppid(), 0, 0),
    "read the parent's memory": lambda: syscall("process_vm_readv", os.getppid(), 0, 0, 0, 0, 0),
    "make an anonymous file": lambda: os.memfd_create("x"),
    "mount": lambda: syscall("mount", 0, 0, 0, 0, 0),
    "unshare": lambda: syscall("unshare", 0x10000000),
    "change the root": lambda: os.chroot("/tmp"),
    "change the user": lambda: os.setuid(12345),
    "use bpf": lambda: syscall("bpf", 0, 0, 0),
    "use io_uring": lambda: syscall("io_uring_setup", 1, 0),
    "use keys": lambda: syscall("keyctl", 0, 0, 0, 0, 0),
    "raise a limit": limit,
    "take much memory": memory,
}}
def tried():
    found = {{}}
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
            found[name] = "open"
        except (OSError, MemoryError, ValueError) as e:
            found[name] = type(e).__name__
    return found

def try_later():
    closed.wait()
    found["older"] = tried()

closed, found = threading.Event(), {{}}
older = threading.Thread(target=try_later)
older.start()
confine_calls()
closed.set(); older.join()
found["young"] = tried()
found["compute"] = float(jax.jit(lambda x: jnp.sum(x * 2))(jnp.ones(3)))
thread = threading.Thread(target=lambda: found.update(thread=1))
thread.start(); thread.join()
sys.stdout.write(json.dumps(found))
"""


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    secret = tmp_path_factory.mktemp("outside") / "secret"
    secret.write_text("not for the jailed")
    code = textwrap.dedent(PROBE).format(secret=str(secret), folder=str(secret.parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert secret.read_text() == "not for the jailed"
    assert [path.name for path in secret.parent.iterdir()] == ["secret"]
    return json.loads(done.stdout)


@pytest.mark.parametrize("thread", ["young", "older"])
def test_everything_but_computing_is_denied(probed, thread):
    # given a process inside the jail, when a thread of any age tries to get out, then the kernel refuses each way
    allowed = {name for name, outcome in probed[thread].items() if outcome == "open"}
    assert not allowed
    assert len(probed[thread]) >= 38


def test_files_are_given_up_by_the_first_thread_or_not_at_all():
    # given a thread that would stay outside, when files are given up, then nothing is and the caller is told
    code = (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "from tabrl_simulation.rewards.jail import confine_files\n"
        "from tabrl_simulation.rewards.diagnostics import JailUnavailable\n"
        "try:\n    confine_files()\nexcept JailUnavailable as e:\n    import sys; sys.stdout.write(str(e))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "2 threads run already" in done.stdout


def test_calls_without_files_are_no_jail():
    # given a process that never gave up its files, when it gives up calls, then its older threads betray it
    code = (
        "from tabrl_simulation.rewards.jail import confine_calls\n"
        "from tabrl_simulation.rewards.diagnostics import JailUnavailable\n"
        "try:\n    confine_calls()\nexcept JailUnavailable as e:\n    import sys; sys.stdout.write(str(e))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "opening the root folder" in done.stdout
    assert "was not denied" in done.stdout


def test_computing_still_works(probed):
    assert probed["compute"] == 6.0
    assert probed["thread"] == 1


def test_endless_computing_is_stopped_by_the_processor_limit():
    # given little processor time, when the jailed process spins, then the kernel ends it
    code = (
        "import tabrl_simulation.rewards.jail as jail\n"
        "jail._PROCESSOR_SECS = 1\n"
        "jail.confine_files()\n"
        "jail.confine_calls()\n"
        "while True:\n    pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode < 0


def test_a_kernel_without_the_layers_is_reported_and_nothing_runs():
    # given a process that may not use seccomp's installation when it enters, then it raises
    code = (
        "import pyseccomp\n"
        "def refuse(self): raise OSError(38, 'Function not implemented')\n"
        "pyseccomp.SyscallFilter.load = refuse\n"
        "from tabrl_simulation.rewards.jail import confine_calls, confine_files\n"
        "confine_files()\n"
        "from tabrl_simulation.rewards.diagnostics import JailUnavailable\n"
        "try:\n    confine_calls()\nexcept JailUnavailable as e:\n    import sys; sys.stdout.write(str(e))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "Function not implemented" in done.stdout


def test_a_layer_that_loads_but_does_not_hold_is_no_jail():
    code = (
        "import tabrl_simulation.rewards.jail as jail\n"
        "jail._restrict_calls = lambda pyseccomp: None\n"
        "from tabrl_simulation.rewards.diagnostics import JailUnavailable\n"
        "jail.confine_files()\n"
        "try:\n    jail.confine_calls()\nexcept JailUnavailable as e:\n    import sys; sys.stdout.write(str(e))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "was not denied" in done.stdout
