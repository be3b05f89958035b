"""Ways out of the jail, each tried for real in a process of its own that is given fifteen seconds.

A probe that says nothing about the jail is no probe: those that any user may run are run outside too, where they work.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import pytest

from tabrl_simulation.rewards import pool as pools
from tabrl_simulation.rewards.diagnostics import JailUnavailable
from tabrl_simulation.rewards.pool import JailPool

LONGEST_SECS = 15

HEAD = """
import ctypes, errno, mmap, os, resource, signal, socket, subprocess, sys, threading, time
import pyseccomp
from tabrl_simulation.rewards.jail import confine_calls, confine_files

folder, port, jailed = {folder!r}, {port}, {jailed}
secret, parent = folder + "/secret", os.getppid()
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result

def probe():
{probe}

os.chdir(folder)
if jailed:
    confine_files()
    confine_calls(memory_above_present=256 << 20, processor_secs=2)
try:
    probe()
    outcome = "open"
except OSError as e:
    outcome = "denied " + errno.errorcode.get(e.errno, str(e.errno))
except (MemoryError, RuntimeError) as e:
    outcome = "denied " + type(e).__name__
os.write(1, outcome.encode())
os._exit(0)
"""


@dataclass(frozen=True)
class Probe:
    """An attempt.

    Attributes:
        code: what is tried.
        by: what the kernel may answer.
        works_outside: whether anybody may do it who is in no jail.
    """

    code: str
    by: tuple[str, ...] = ("EPERM", "EACCES")
    works_outside: bool = False


def anybody(code, *by):
    """Return a probe of what works outside."""
    return Probe(code, by or Probe.by, works_outside=True)


PROBES = {
    # files
    "read a file": anybody("open(secret).read()"),
    "read the passwords": anybody("open('/etc/passwd').read()"),
    "write a file": anybody("open(folder + '/new', 'w')"),
    "write to a file that is there": anybody("open(secret, 'r+')"),
    "empty a file by opening it": anybody("os.open(secret, os.O_RDONLY | os.O_TRUNC)"),
    "make a file without a name": anybody("os.open(folder, os.O_TMPFILE | os.O_RDWR)", "EPERM", "EACCES"),
    "truncate a file": anybody("os.truncate(secret, 0)"),
    "unlink a file": anybody("os.unlink(secret)"),
    "rename a file": anybody("os.rename(secret, folder + '/moved')"),
    "link a file": anybody("os.link(secret, folder + '/linked')"),
    "make a symbolic link": anybody("os.symlink('/', folder + '/root')"),
    "make a folder": anybody("os.mkdir(folder + '/new')"),
    "make a pipe in the file system": anybody("os.mkfifo(folder + '/pipe')"),
    "change a mode": anybody("os.chmod(secret, 0o777)"),
    "set an attribute": Probe("os.setxattr(secret, 'user.a', b'b')"),
    "write to a device": anybody("open('/dev/null', 'w')"),
    "list the root": anybody("os.listdir('/')"),
    "list the current folder": anybody("os.listdir('.')"),
    "open by a handle": Probe("call('open_by_handle_at', -1, 0, 0)"),
    "map a file as code": anybody("mmap.mmap(os.open(secret, os.O_RDONLY), 4, prot=mmap.PROT_READ | mmap.PROT_EXEC)"),
    # what /proc knows
    "read the parent's environment": anybody("open(f'/proc/{parent}/environ', 'rb').read()"),
    "read the parent's command": anybody("open(f'/proc/{parent}/cmdline', 'rb').read()"),
    "open the parent's memory": anybody("os.open(f'/proc/{parent}/mem', os.O_RDONLY)"),
    "open its own memory for writing": anybody("os.open('/proc/self/mem', os.O_RDWR)"),
    "list all processes": anybody("os.listdir('/proc')"),
    # networks
    "open a TCP socket": anybody("socket.socket()"),
    "open a UDP socket": anybody("socket.socket(type=socket.SOCK_DGRAM)"),
    "open a Unix socket": anybody("socket.socket(socket.AF_UNIX)"),
    "bind an abstract name": anybody("socket.socket(socket.AF_UNIX).bind(chr(0) + 'tabrl-probe-' + str(os.getpid()))"),
    "open a netlink socket": anybody("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)"),
    "make a socket pair": anybody("socket.socketpair()"),
    "connect to the gateway": anybody("socket.create_connection(('127.0.0.1', port), timeout=5)"),
    # programs and processes
    "execute": anybody("os.execv('/bin/true', ['true'])"),
    "execute a descriptor": anybody("os.execve(os.open('/bin/true', os.O_RDONLY), ['true'], {})"),
    "execute what is in memory": anybody(
        "file = os.memfd_create('x')\nos.write(file, open('/bin/true', 'rb').read())\nos.execve(file, ['true'], {})"
    ),
    "spawn": anybody("os.posix_spawn('/bin/true', ['true'], {})"),
    "run a program": anybody("subprocess.run(['/bin/true'], check=True)"),
    "fork": anybody("os.fork() or os._exit(0)"),
    "clone a process": anybody("call('clone', 17, 0, 0, 0, 0) or os._exit(0)"),
    "clone a process by the newer call": Probe("call('clone3', 0, 0)", ("ENOSYS",)),
    "fork as vfork does": Probe("call('clone', 0x4100 | 17, 0, 0, 0, 0) or os._exit(0)"),
    "call vfork": Probe("call('vfork') or os._exit(0)"),
    "signal the parent": anybody("os.kill(parent, 0)"),
    "kill the parent": Probe("os.kill(parent, signal.SIGKILL)"),
    "signal a thread of the parent": anybody("call('tgkill', parent, parent, 0)"),
    "hold on to the parent": anybody("os.pidfd_open(parent)"),
    "trace the parent": Probe("call('ptrace', 16, parent, 0, 0)"),
    "be traced": anybody("call('ptrace', 0, 0, 0, 0)"),
    "read the parent's memory": Probe("call('process_vm_readv', parent, 0, 0, 0, 0, 0)"),
    "write the parent's memory": Probe("call('process_vm_writev', parent, 0, 0, 0, 0, 0)"),
    "begin a session": Probe("os.setsid()"),
    # the system
    "mount": Probe("call('mount', 0, 0, 0, 0, 0)"),
    "unmount": Probe("call('umount2', b'/proc', 0)"),
    "unshare": Probe("call('unshare', 0x10000000)"),
    "enter a namespace": Probe("call('setns', -1, 0)"),
    "change the root": Probe("os.chroot(folder)"),
    "swap the root": Probe("call('pivot_root', b'.', b'.')"),
    "change the user": Probe("os.setuid(12345)"),
    "change the group": Probe("os.setgroups([])"),
    "take capabilities": Probe("call('capset', 0, 0)"),
    "load a module": Probe("call('init_module', 0, 0, 0)"),
    "load a kernel": Probe("call('kexec_load', 0, 0, 0, 0)"),
    "use bpf": Probe("call('bpf', 0, 0, 0)"),
    "use io_uring": Probe("call('io_uring_setup', 1, 0)"),
    "use performance events": Probe("call('perf_event_open', 0, 0, -1, -1, 0)"),
    "handle page faults": Probe("call('userfaultfd', 0)"),
    "use keys": Probe("call('keyctl', 0, 0, 0, 0, 0)"),
    "add a key": Probe("call('add_key', b'user', b'a', b'b', 1, 0)"),
    "make an anonymous file": anybody("os.memfd_create('x')"),
    "share memory": anybody("call('shmget', 0, 4096, 0o1600)"),
    "watch files": anybody("call('inotify_init1', 0)"),
    # the jail itself
    "take privileges again": Probe("call('prctl', 38, 0, 0, 0, 0)"),
    "choose another filter of calls": Probe("call('prctl', 22, 2, 0, 0, 0)"),
    "add a filter of calls": Probe("call('seccomp', 1, 0, 0)"),
    "make rules for files": Probe("call('landlock_create_ruleset', 0, 0, 1)"),
    "outlive the parent": anybody("call('prctl', 1, 0, 0, 0, 0)"),
    "change the personality": anybody("call('personality', 0x0040000)"),
    "raise a limit": Probe("call('setrlimit', 0, (ctypes.c_ulong * 2)(1 << 40, 1 << 40))"),
    "raise a limit by the newer call": Probe("call('prlimit64', 0, 0, (ctypes.c_ulong * 2)(1 << 40, 1 << 40), 0)"),
    "lower a limit of the parent": Probe("call('prlimit64', parent, 7, (ctypes.c_ulong * 2)(1, 1), 0)"),
    "type into the terminal": Probe("call('ioctl', 0, 0x5412, b'x')"),
    "be nicer": anybody("os.nice(1)"),
    "change the processors": anybody("os.sched_setaffinity(0, os.sched_getaffinity(0))"),
    # what there is too much of
    "take much memory": Probe("bytearray(1 << 30)", ("MemoryError",)),
    "take memory in pieces": Probe("kept = []\nwhile True:\n    kept.append(bytearray(1 << 20))", ("MemoryError",)),
    "map much memory": Probe("mmap.mmap(-1, 1 << 30)", ("ENOMEM",)),
    "open many descriptors": Probe("while True:\n    os.dup(0)", ("EMFILE",)),
    "start many threads": Probe(
        "while True:\n    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", ("RuntimeError",)
    ),
}


@pytest.fixture
def gateway():
    """The port of something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def run(probe, folder, port, *, jailed):
    """Return what came of a probe: `open`, `denied ERRNO`, or the exit status of a process that became another."""
    indented = textwrap.indent(probe.code, "    ")
    code = HEAD.format(folder=str(folder), port=port, jailed=jailed, probe=indented)
    # SIGKILL and an error after the time: nothing that is tried may outlive it
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LONGEST_SECS, check=False
    )
    return done.stdout or f"ended {done.returncode} {done.stderr[-500:]}"


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_the_kernel_denies_it(probe, tmp_path, gateway):
    secret = tmp_path / "secret"
    secret.write_text("not for the jailed")
    outcome = run(probe, tmp_path, gateway, jailed=True)
    assert outcome in {f"denied {by}" for by in probe.by}
    assert secret.read_text() == "not for the jailed"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    "probe",
    [each for each in PROBES.values() if each.works_outside],
    ids=[n for n, p in PROBES.items() if p.works_outside],
)
def test_it_works_outside(probe, tmp_path, gateway):
    (tmp_path / "secret").write_text("for anybody")
    assert run(probe, tmp_path, gateway, jailed=False) in {"open", "ended 0 "}


def test_there_are_many_probes():
    assert len(PROBES) >= 24
    assert len({probe.code for probe in PROBES.values()}) == len(PROBES)


ENDLESS = {
    "spin": "while True:\n    pass",
    "spin in the kernel": "while True:\n    os.getppid()",
    "spin in threads": "for _ in range(4):\n    threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\n"
    "while True:\n    pass",
}


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
def test_the_kernel_ends_what_never_ends(code, tmp_path):
    outcome = run(Probe(code), tmp_path, 0, jailed=True)
    assert outcome.split()[:2] in (["ended", str(-signal.SIGXCPU)], ["ended", str(-signal.SIGKILL)])


# A process whose kernel, as far as it can tell, lacks a layer: its calls are answered as an older kernel does.
WITHOUT = """
import errno, os, sys
import pyseccomp

older = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
missing = pyseccomp.ERRNO(errno.ENOSYS)
if "landlock" in {layers}:
    for number in (444, 445, 446):
        older.add_rule(missing, number)
if "seccomp" in {layers}:
    older.add_rule(missing, "seccomp")
    older.add_rule(pyseccomp.ERRNO(errno.EINVAL), "prctl", pyseccomp.Arg(0, pyseccomp.EQ, 22))
older.load()
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
LAYERS = {"landlock": ("landlock",), "seccomp": ("seccomp",), "both": ("landlock", "seccomp")}


@contextlib.contextmanager
def children_without(layers, tmp_path, monkeypatch):
    """Let the pool start its real children under such a kernel."""
    driver, child = tmp_path / "without.py", tmp_path / "child.sh"
    driver.write_text(WITHOUT.format(layers=repr(layers)))
    child.write_text(f'#!/bin/sh\nexec {sys.executable} {driver} "$@"\n')
    child.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(pools.sys, "executable", str(child))
        yield


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("role", ["trace", "verify"])
async def test_a_kernel_without_a_layer_is_reported_and_nothing_runs(layers, role, tmp_path, monkeypatch, walker):
    # given a kernel without Landlock, without seccomp, or without both, when a reward is to be compiled, then the real
    # child says which call is missing, and is not given the source
    with children_without(layers, tmp_path, monkeypatch):
        async with JailPool() as pool:
            with pytest.raises(JailUnavailable, match="the jail cannot be entered on this machine") as unavailable:
                await pool.ask(role, {"source": "def reward(state, action): return {}", "robot": walker.plain()})
    expected = "Function not implemented" if "landlock" in layers else "OSError|RuntimeError|AttributeError"
    unavailable.match(expected)
