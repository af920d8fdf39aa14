"""The launcher of a sandbox: it gives up rights and sets limits, then becomes the program.

`braid.executors.sandbox.run` starts it as a fresh `python -I -S launcher.py CONFIG COMMAND...`. Namespaces
and limits must be set up in a process of one thread, after the fork and before the program. It uses the
standard library only, and imports nothing of Braid.

Each protection is tried by itself. What worked is reported as JSON lines on the status descriptor. Where
isolation is required and one of `PROTECTIONS` was refused, the program is not started. The processes:

    launcher (leader of the session that `run_sandboxed` kills)
      init (process 1 of a new PID namespace: when it ends, the kernel ends everything in there)
        program

Sources: namespaces(7), user_namespaces(7), pid_namespaces(7), mount_setattr(2), capabilities(7) "Ambient",
prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import stat
import struct
import sys
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC = (
    0x00020000,
    0x10000000,
    0x20000000,
    0x40000000,
    0x08000000,
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 0x4000, 0x40000
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 38, 47, 2
CAP_DAC_READ_SEARCH = 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
PROTECTIONS = {"network", "processes", "files"}
FIRST_UID = 2_000_000_000
"""User ids above those of people and containers.

The process id is added, so that every run has a user of its own, whose processes are counted.
"""


class Kernel:
    """System calls that Python 3.11 does not wrap. Each raises `OSError` where it is refused."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)

    def call(self, name: str, *args: Any) -> None:
        if getattr(self.libc, name)(*args) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")

    def prctl(self, option: int, *args: int) -> None:
        values = [*args, 0, 0, 0, 0][:4]
        self.call("prctl", option, *(ctypes.c_ulong(value) for value in values))

    def mount(self, source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
        encoded = [None if text is None else text.encode() for text in (source, target, kind, data)]
        self.call("mount", encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])

    def make_read_only(self, target: str) -> None:
        attributes = struct.pack("QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)
        self.call(
            "syscall",
            ctypes.c_long(SYS_MOUNT_SETATTR),
            ctypes.c_int(AT_FDCWD),
            target.encode(),
            ctypes.c_uint(AT_RECURSIVE),
            attributes,
            ctypes.c_size_t(len(attributes)),
        )

    def keep_only(self, capability: int) -> None:
        """Give up every capability but one. That one stays across exec."""
        bits = 1 << capability
        header = struct.pack("Ii", LINUX_CAPABILITY_VERSION_3, 0)
        self.call("capset", header, struct.pack("6I", bits, bits, bits, 0, 0, 0))
        self.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def main() -> int:
    """Run the three processes. Returns the exit code of each."""
    config: dict[str, Any] = json.loads(sys.argv[1])
    command = sys.argv[2:]
    status = int(config["status_fd"])
    os.set_inheritable(status, False)
    kernel: Kernel | None = None
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            kernel = Kernel()
    if kernel is not None:
        # If our parent is killed, nobody is left to enforce the time limit.
        kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    done: set[str] = set()
    refused: list[str] = []
    root = os.geteuid() == 0
    uid = FIRST_UID + os.getpid() if root else os.geteuid()
    isolate = config["isolation"] != "none"
    if isolate:
        done, refused = unshare_namespaces(kernel, root)

    if init := os.fork():
        _, code = os.waitpid(init, 0)
        return os.waitstatus_to_exitcode(code) & 0xFF
    if kernel is not None:
        kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if kernel is not None and "mounts" in done:
        refused += make_files_read_only(kernel, config, uid, done)

    if program := os.fork():
        while True:
            child, code = os.wait()
            if child == program:
                report(status, {"exit": os.waitstatus_to_exitcode(code)})
                return 0
    try:
        if "processes" in done:
            os.setsid()  # `kill(0, ...)` inside must not reach the launcher, which is out of the namespace
        if kernel is not None and root and isolate:
            refused += drop_root(kernel, config, uid, done)
        withheld = config["isolation"] == "required" and not done.issuperset(PROTECTIONS)
        report(status, {"done": sorted(done), "refused": refused, "withheld": withheld})
        if withheld:
            return 0
        set_limits(config["limits"], fresh_count="user" in done or os.geteuid() >= FIRST_UID)
        if kernel is not None:
            kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
        os.chdir(config["workdir"])
        os.execvpe(command[0], command, config["env"])
    except OSError as error:
        report(status, {"failed": str(error)})
        return 127


def unshare_namespaces(kernel: Kernel | None, root: bool) -> tuple[set[str], list[str]]:
    """Leave the system's namespaces, as far as that is allowed.

    Returns:
        The names of the namespaces that were left, and what was refused.
    """
    if kernel is None:
        return set(), [f"there are no namespaces on {sys.platform}"]
    done: set[str] = set()
    refused: list[str] = []
    uid, gid = os.geteuid(), os.getegid()
    namespaces = {
        "network": CLONE_NEWNET,
        "processes": CLONE_NEWPID,
        "mounts": CLONE_NEWNS,
        "ipc": CLONE_NEWIPC,
    }
    if not root:
        namespaces = {"user": CLONE_NEWUSER, **namespaces}
    for name, flag in namespaces.items():
        try:
            kernel.call("unshare", flag)
            if name == "user":
                Path("/proc/self/setgroups").write_text("deny")
                Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
                Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
            done.add(name)
        except OSError as error:
            refused.append(f"{name}: {error.strerror or error}")
    return done, refused


def make_files_read_only(kernel: Kernel, config: dict[str, Any], uid: int, done: set[str]) -> list[str]:
    """Make every file system read-only but the working directory, which becomes a small one in memory.

    The files in it are kept. What the program writes disappears with it. `/run` is hidden: a socket there,
    such as that of a container service, would lead out, since a read-only socket can be connected to.
    """
    workdir = str(config["workdir"])
    files = {
        path: (path.read_bytes(), path.stat().st_mode) for path in Path(workdir).rglob("*") if path.is_file()
    }
    folders = [path for path in Path(workdir).rglob("*") if path.is_dir()]
    try:
        kernel.mount("none", "/", None, MS_REC | MS_PRIVATE)
        if Path("/run").is_dir():
            kernel.mount("none", "/run", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=755")
        kernel.make_read_only("/")
        size = config["limits"]["disk"]
        kernel.mount("none", workdir, "tmpfs", MS_NOSUID | MS_NODEV, f"size={size},nr_inodes=16384,mode=700")
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for path, (content, mode) in files.items():
            path.write_bytes(content)
            path.chmod(stat.S_IMODE(mode))
        if os.geteuid() != uid:
            for path in (Path(workdir), *folders, *files):
                os.chown(path, uid, -1)
        if "processes" in done:
            hide_processes(kernel)
        done.add("files")
    except OSError as error:
        return [f"files: {error.strerror or error}"]
    return []


def hide_processes(kernel: Kernel) -> None:
    """Mount a new /proc, since the old one shows the processes outside. Where that is refused, hide it."""
    flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
    try:
        kernel.mount("proc", "/proc", "proc", flags)
    except OSError:
        kernel.mount("none", "/proc", "tmpfs", flags, "size=4k")


def drop_root(kernel: Kernel, config: dict[str, Any], uid: int, done: set[str]) -> list[str]:
    """Become a user that nobody else is.

    Where other users may not read the interpreter, the capability to read files is kept.
    """
    blind = not all(readable_by_all(Path(path)) for path in config["needs"])
    workdir = config["workdir"]
    with contextlib.suppress(OSError):
        os.chown(workdir, uid, -1)
        for path in Path(workdir).rglob("*"):
            os.chown(path, uid, -1, follow_symlinks=False)
    if blind:
        kernel.prctl(PR_SET_KEEPCAPS, 1)
    try:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        # Root of a container with few user ids stays root, and can undo the mounts.
        done.discard("files")
        return [f"files: root cannot be given up: {error.strerror}"]
    if blind:
        kernel.keep_only(CAP_DAC_READ_SEARCH)
    return []


def readable_by_all(path: Path) -> bool:
    """Whether every user may read the file."""
    real = path.resolve()
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents) and bool(
        real.stat().st_mode & stat.S_IROTH
    )


def set_limits(limits: dict[str, int], *, fresh_count: bool) -> None:
    """Set the resource limits.

    `fresh_count`: no other process of this user counts against the limit on processes.
    """
    processes = limits["processes"]
    if not fresh_count:
        processes += threads_of_this_user()
    bounds = {
        "RLIMIT_AS": limits["memory"],
        "RLIMIT_CPU": limits["cpu"],
        "RLIMIT_FSIZE": limits["disk"],
        "RLIMIT_NOFILE": limits["open_files"],
        "RLIMIT_NPROC": processes,
        "RLIMIT_CORE": 0,
    }
    for name, value in bounds.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # some systems know the limit and refuse to set it
            resource.setrlimit(kind, (bound, bound))


def threads_of_this_user() -> int:
    """Number of threads of this user.

    Without a namespace, RLIMIT_NPROC counts them all and must allow for them.
    """
    count = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry.stat().st_uid == os.geteuid():
                count += sum(1 for _ in (entry / "task").iterdir())
    return count


def report(descriptor: int, what: dict[str, Any]) -> None:
    """Write one line of the status."""
    os.write(descriptor, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    code = 126
    try:
        code = main()
    finally:
        # Three processes share this code. None of them may go on in another's, nor flush twice.
        os._exit(code)
