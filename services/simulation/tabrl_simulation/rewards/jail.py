"""The jail: what this process gives up, for good, before it touches source that nobody has vouched for.

Three layers of the Linux kernel, none of which needs root or a container: Landlock takes the file system away but for
reading Python's own library; seccomp leaves only the system calls that computing needs (no sockets, no exec, no new
process, no
signals to others, no change of limits); rlimits bound processor time, memory and file size. Capabilities are dropped
too, for when the caller is root. Whatever is missing makes `enter` raise: it fails closed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
import struct
import sysconfig
from typing import Any

from tabrl_simulation.rewards.diagnostics import JailUnavailable

__all__ = ["enter"]

_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_ACCESS_READ_FILE, _ACCESS_READ_DIR = 1 << 2, 1 << 3
_NO_NEW_PRIVILEGES = 38
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE_THREAD = 0x00010000
_PROCESSOR_SECS = 20
_MEMORY_ABOVE_PRESENT = 1 << 30

# What an interpreter with jax needs once everything is imported: memory, threads, clocks, its pipes, reading its
# library.
_ALLOWED_CALLS = """
read readv write writev close fstat newfstatat stat lstat statx lseek pread64 openat open access faccessat
faccessat2 readlink readlinkat getdents64 fcntl dup poll ppoll select pselect6 epoll_wait epoll_pwait eventfd2
mmap mprotect munmap mremap madvise brk membarrier
futex set_robust_list get_robust_list rseq sched_yield sched_getaffinity sched_getparam sched_getscheduler
set_tid_address arch_prctl sigaltstack rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait restart_syscall
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times
getpid gettid getppid getuid geteuid getgid getegid getcwd uname sysinfo getrusage getcpu getrlimit getrandom
exit exit_group"""


def enter() -> None:
    """Give up everything but computing; there is no way back.

    Raises:
        JailUnavailable: this kernel lacks a layer, or a layer does not hold. The caller must not run anything then.
    """
    try:
        import pyseccomp  # looks for libseccomp on the disk, so before the disk goes away

        _bound_resources()
        _drop_capabilities()
        _restrict_files()
        _restrict_calls(pyseccomp)
    except (OSError, ImportError, AttributeError, RuntimeError) as e:
        raise JailUnavailable(f"the jail cannot be entered on this machine: {type(e).__name__}: {e}") from e
    _prove_it_holds()


def _bound_resources() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + _PROCESSOR_SECS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    with open("/proc/self/statm") as statm:
        present = int(statm.read().split()[0]) * resource.getpagesize()
    memory = present + _MEMORY_ABOVE_PRESENT
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(limit, (value, value))


def _drop_capabilities() -> None:
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    if _libc().capset(ctypes.create_string_buffer(header), ctypes.create_string_buffer(24)):
        raise OSError(ctypes.get_errno(), "capset failed")


def _restrict_files() -> None:
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
    for folder in sorted({sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}):
        if os.path.isdir(folder):
            descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("<Qi", _ACCESS_READ_FILE | _ACCESS_READ_DIR, descriptor)
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
    new_thread = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD)
    calls.add_rule(pyseccomp.ALLOW, "clone", new_thread)
    # ENOSYS makes the C library fall back to clone, whose flags a filter can see.
    calls.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    calls.add_rule(pyseccomp.ALLOW, "prlimit64", pyseccomp.Arg(2, pyseccomp.EQ, 0))  # reading limits, not setting them
    calls.set_attr(pyseccomp.Attr.CTL_TSYNC, 1)
    calls.load()


def _prove_it_holds() -> None:
    """Try what must be denied: a layer that loads but does not hold is no jail."""
    for attempt, what in (
        (lambda: os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY)), "opening the root folder"),
        (lambda: socket.socket().close(), "opening a socket"),
        (lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0), "starting a program"),
    ):
        try:
            attempt()
        except OSError:
            continue
        raise JailUnavailable(f"the jail does not hold on this machine: {what} was not denied")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc().syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
