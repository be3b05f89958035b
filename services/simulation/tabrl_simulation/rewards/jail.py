"""The jail: what this process gives up, for good, before it touches source that nobody has vouched for.

Three layers of the Linux kernel, none of which needs root or a container: Landlock takes the file system away but for
reading libraries; seccomp leaves only the system calls that computing needs (no sockets, no exec, no new process, no
signals to others, no change of limits, no opening for writing); rlimits bound processor time, memory and file size.
Capabilities are dropped too, for when the caller is root.

Landlock and capabilities belong to a thread and pass to the threads it starts, so `confine_files` must come before the
process has a second one: before numpy, jax and their pools. Seccomp would forbid what those need to start, and can
reach every thread, so `confine_calls` comes once they are warm. Whatever is missing makes them raise: they fail closed.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import socket
import struct
import sys
import sysconfig
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tabrl_simulation.rewards.diagnostics import JailUnavailable

__all__ = ["confine_calls", "confine_files"]

_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_ACCESS_READ_FILE, _ACCESS_READ_DIR = 1 << 2, 1 << 3
_NO_NEW_PRIVILEGES = 38
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE_THREAD = 0x00010000
_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_TMPFILE & ~os.O_DIRECTORY
_PROCESSOR_SECS = 10
_MEMORY_ABOVE_PRESENT = 1 << 30

# What an interpreter with jax needs once everything is imported: memory, threads, clocks, its pipes, reading its
# library.
_ALLOWED_CALLS = """
read readv write writev close fstat newfstatat stat lstat statx lseek pread64 access faccessat
faccessat2 readlink readlinkat getdents64 dup poll ppoll select pselect6 epoll_wait epoll_pwait eventfd2
mmap mprotect munmap mremap madvise brk membarrier
futex set_robust_list get_robust_list rseq sched_yield sched_getaffinity sched_getparam sched_getscheduler
set_tid_address arch_prctl sigaltstack rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait restart_syscall
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times
getpid gettid getppid getuid geteuid getgid getegid getcwd uname sysinfo getrusage getcpu getrlimit getrandom
exit exit_group"""

# fcntl's, without those that say whom a descriptor signals and how: these end the parent before Landlock's version 6.
_DESCRIPTOR_COMMANDS = (
    *(fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD),
    *(fcntl.F_GETFL, fcntl.F_SETFL),
)


# What libraries read while they start: the linker's, and what the machine is.
_READ_AT_START = """
/lib /lib64 /usr/lib /usr/lib64 /usr/local/lib /etc/ld.so.cache /etc/localtime /dev/null /dev/urandom
/proc/self /proc/cpuinfo /sys/devices/system/cpu"""


def confine_files(*packages: Path) -> None:
    """Give up files, privileges and capabilities, in this thread and all that it starts; the process's first act.

    What remains is reading Python's library, this package, shared libraries and what the kernel says about this very
    process and the processors.

    Args:
        packages: folders of more code to read until `confine_calls`.

    Raises:
        JailUnavailable: this kernel lacks a layer, or another thread runs already. The caller must not go on then.
    """
    try:
        import pyseccomp  # noqa: F401  looks for libseccomp on the disk and with programs, so before both go away

        _require_one_thread()
        _limit((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0))
        _drop_capabilities()
        package = str(Path(__file__).resolve().parents[1])
        _restrict_files(
            [*_library(), package, *map(str, packages), os.path.join(sys.base_prefix, "lib"), *_READ_AT_START.split()]
        )
    except (OSError, ImportError, AttributeError, RuntimeError) as e:
        raise _unavailable(e) from e


def confine_calls(*, memory_above_present: int | None = None, processor_secs: int | None = None) -> None:
    """Give up everything but computing, in every thread of the process; there is no way back.

    From here on this thread, and those it starts, may read Python's own library only.

    Args:
        memory_above_present: bytes of address space that it may still take; None for 1 GiB.
        processor_secs: processor time that it may still spend; None for 10 s.

    Raises:
        JailUnavailable: this kernel lacks a layer, or a layer does not hold in a thread that is older than this call.
            The caller must not run anything then.
    """
    older = _OlderThread()
    try:
        import pyseccomp

        _bound_resources(memory_above_present or _MEMORY_ABOVE_PRESENT, processor_secs or _PROCESSOR_SECS)
        _restrict_files(_library())
        _restrict_calls(pyseccomp)
    except (OSError, ImportError, AttributeError, RuntimeError) as e:
        older.let_go()
        raise _unavailable(e) from e
    open_ways = {*_open_ways(), *older.open_ways()}
    if open_ways:
        what = ", ".join(sorted(open_ways))
        raise JailUnavailable(f"the jail does not hold on this machine: {what} was not denied")


def _unavailable(error: Exception) -> JailUnavailable:
    return JailUnavailable(f"the jail cannot be entered on this machine: {type(error).__name__}: {error}")


def _require_one_thread() -> None:
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise RuntimeError(f"{threads} threads run already, and the others would stay outside")


def _library() -> set[str]:
    return {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}


def _bound_resources(memory_above_present: int, processor_secs: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + processor_secs
    with open("/proc/self/statm") as statm:
        present = int(statm.read().split()[0]) * resource.getpagesize()
    memory = present + memory_above_present
    _limit((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, memory), (resource.RLIMIT_NOFILE, 64))


def _limit(*limits: tuple[int, int]) -> None:
    for limit, value in limits:
        resource.setrlimit(limit, (value, value))


def _drop_capabilities() -> None:
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    if _libc().capset(ctypes.create_string_buffer(header), ctypes.create_string_buffer(24)):
        raise OSError(ctypes.get_errno(), "capset failed")


def _restrict_files(readable: Iterable[str]) -> None:
    version = _call(_LANDLOCK_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    # Rights over files grew with the version of Landlock: handle (so: deny) every one this kernel knows.
    file_rights = (1 << 13) - 1
    for since, bit in ((2, 13), (3, 14), (5, 15)):
        file_rights |= (1 << bit) if version >= since else 0
    network_rights = 3 if version >= 4 else 0
    scopes = 3 if version >= 6 else 0
    attributes = struct.pack("<QQQ", file_rights, network_rights, scopes)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call(_LANDLOCK_CREATE_RULESET, ctypes.create_string_buffer(attributes), size, 0)
    for path in sorted(readable):
        if not os.path.exists(path):
            continue  # another distribution keeps it elsewhere; what is not there cannot be read
        rights = _ACCESS_READ_FILE | (_ACCESS_READ_DIR if os.path.isdir(path) else 0)
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("<Qi", rights, descriptor)
        _call(_LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.create_string_buffer(rule), 0)
        os.close(descriptor)
    if _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs failed")
    _call(_LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _restrict_calls(pyseccomp: Any) -> None:
    calls = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in _ALLOWED_CALLS.split():
        try:
            calls.add_rule(pyseccomp.ALLOW, name)
        except (OSError, RuntimeError, ValueError):
            continue  # a call that this architecture does not have need not be allowed
    # Landlock lets no thread write either; this is the second lock on that door.
    for name, position in (("openat", 2), ("open", 1)):
        calls.add_rule(pyseccomp.ALLOW, name, pyseccomp.Arg(position, pyseccomp.MASKED_EQ, _WRITING, 0))
    new_thread = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD)
    calls.add_rule(pyseccomp.ALLOW, "clone", new_thread)
    # ENOSYS makes the C library fall back to clone, whose flags a filter can see.
    calls.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    # One's own limits may be read, none may be set.
    own_limits = (pyseccomp.Arg(0, pyseccomp.EQ, 0), pyseccomp.Arg(2, pyseccomp.EQ, 0))
    calls.add_rule(pyseccomp.ALLOW, "prlimit64", *own_limits)
    for command in _DESCRIPTOR_COMMANDS:
        calls.add_rule(pyseccomp.ALLOW, "fcntl", pyseccomp.Arg(1, pyseccomp.EQ, command))
    calls.set_attr(pyseccomp.Attr.CTL_TSYNC, 1)
    calls.load()


def _open_ways() -> list[str]:
    """Try what must be denied and return what was not: a layer that loads but does not hold is no jail."""
    found = []
    for attempt, what in (
        (lambda: os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY)), "opening the root folder"),
        (lambda: os.close(os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY)), "reading the parent's environment"),
        (lambda: os.close(os.open(os.devnull, os.O_WRONLY)), "opening a file for writing"),
        (lambda: socket.socket().close(), "opening a socket"),
        (lambda: os.posix_spawn("/bin/true", ["true"], {}), "starting a program"),
    ):
        try:
            attempt()
        except OSError:
            continue
        found.append(what)
    return found


class _OlderThread:
    """A thread that starts now and tries the jail later: what holds in it holds in the other threads of now."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._wanted = False
        self._found = ["running a thread"]  # unless it lives to say otherwise
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def open_ways(self) -> list[str]:
        """Let it try, and return what was not denied to it."""
        self._wanted = True
        self.let_go()
        return self._found

    def let_go(self) -> None:
        """Let it end."""
        self._go.set()
        self._thread.join()

    def _run(self) -> None:
        self._go.wait()
        if self._wanted:
            self._found = _open_ways()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc().syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
