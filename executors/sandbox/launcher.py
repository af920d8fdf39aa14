"""The launcher of a sandbox: it gives up rights and sets limits, then becomes the program.

`braid.executors.sandbox.run` starts it as a fresh `python -I -S launcher.py CONFIG COMMAND...`. Namespaces
and limits must be set up in a process of one thread, after the fork and before the program. It uses the
standard library only, and imports nothing of Braid.

Each protection is tried by itself. What worked is reported as JSON lines on the status descriptor. Where
isolation is required and one of `PROTECTIONS` was refused, the program is not started. The processes:

    launcher (leader of the session that `run_sandboxed` kills, and parent of what leaves it)
      init (process 1 of a new PID namespace: when it ends, the kernel ends everything in there)
        program

Sources: namespaces(7), user_namespaces(7), pid_namespaces(7), mount_setattr(2), capabilities(7), prctl(2),
seccomp(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
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
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 0x1000, 0x4000, 0x40000
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = (
    1,
    22,
    24,
    36,
    38,
)
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH = 8, 47, 2, 2
SECCOMP_MODE_FILTER = 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63
PROTECTIONS = {"network", "processes", "files", "sockets"}
FAMILIES = (2, 10, 16)
"""Families of sockets that are allowed: IPv4, IPv6, and netlink, by which the C library finds interfaces."""
PAIRS = (1, 5)
"""Types of pairs of sockets that are allowed: streams and sequences of packets."""
HIDDEN = ("/tmp", "/run", "/var")
"""Folders that hold other programs' files and sockets."""

SYSTEM_CALLS = {
    "x86_64": (
        0xC000003E,
        {"socket": 41, "socketpair": 53, "clone": 56, "unshare": 272, "clone3": 435, "memfd_create": 319}
        | {"memfd_secret": 447, "io_uring_setup": 425, "shmget": 29, "msgget": 68},
    ),
    "aarch64": (
        0xC00000B7,
        {"socket": 198, "socketpair": 199, "clone": 220, "unshare": 97, "clone3": 435, "memfd_create": 279}
        | {"memfd_secret": 447, "io_uring_setup": 425, "shmget": 194, "msgget": 186},
    ),
}
"""For each machine its audit architecture, and the numbers of the calls that the filter looks at."""
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

    def limit_capabilities(self, *, but: int | None = None) -> None:
        """Let no program get a capability again, but one. Root alone can do that."""
        for capability in range(LAST_CAPABILITY + 1):
            if capability != but:
                with contextlib.suppress(OSError):  # there are not so many
                    self.prctl(PR_CAPBSET_DROP, capability)

    def drop_capabilities(self) -> None:
        """Give up every capability."""
        header = struct.pack("Ii", LINUX_CAPABILITY_VERSION_3, 0)
        self.call("capset", header, bytes(24))

    def keep_only(self, capability: int) -> None:
        """Give up every capability but one. That one stays across exec."""
        bits = 1 << capability
        header = struct.pack("Ii", LINUX_CAPABILITY_VERSION_3, 0)
        self.call("capset", header, struct.pack("6I", bits, bits, bits, 0, 0, 0))
        self.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)

    def filter_calls(self) -> None:
        """Refuse system calls from now on, as `call_filter` says."""
        machine = os.uname().machine
        if machine not in SYSTEM_CALLS:
            raise OSError(errno.ENOSYS, f"there is no filter of system calls for {machine}")
        code = b"".join(struct.pack("HBBI", *one) for one in call_filter(*SYSTEM_CALLS[machine]))
        buffer = ctypes.create_string_buffer(code)
        program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
        self.call("prctl", PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), program, 0, 0)


def call_filter(architecture: int, numbers: dict[str, int]) -> list[tuple[int, int, int, int]]:
    """The filter of system calls: those are refused that lead out, or to memory that nobody counts.

    `connect` reaches every unix socket that can be seen, on a read-only file system too. So sockets are of
    the internet, or pairs that cannot be connected anew. A new user namespace would give capabilities, and
    with them mounts.

    Returns:
        Instructions: operation, jumps if true and if false, operand.
    """
    load, equal, at_least, any_of, mask, give = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
    refused, absent, allowed = (give, 0, 0, 0x50001), (give, 0, 0, 0x50026), (give, 0, 0, 0x7FFF0000)
    number, architecture_at, first, second = 0, 4, 16, 24
    rules = [(load, 0, 0, architecture_at), (equal, 1, 0, architecture), refused, (load, 0, 0, number)]
    if numbers["socket"] == 41:
        rules += [(at_least, 0, 1, 0x40000000), refused]  # the second numbering of x86-64
    for name in ("memfd_create", "memfd_secret", "io_uring_setup", "shmget", "msgget"):
        rules += [(equal, 0, 1, numbers[name]), refused]
    # The C library takes clone instead, whose flags can be seen.
    rules += [(equal, 0, 1, numbers["clone3"]), absent]
    for name in ("clone", "unshare"):
        rules += [(equal, 0, 4, numbers[name]), (load, 0, 0, first)]
        rules += [(any_of, 0, 1, CLONE_NEWUSER), refused, allowed]
    rules += [(equal, 0, 6, numbers["socket"]), (load, 0, 0, first)]
    rules += [(equal, 3 - place, 0, family) for place, family in enumerate(FAMILIES)]
    rules += [refused, allowed]
    rules += [(equal, 0, 6, numbers["socketpair"]), (load, 0, 0, second), (mask, 0, 0, 0xF)]
    rules += [(equal, 2 - place, 0, kind) for place, kind in enumerate(PAIRS)]
    return [*rules, refused, allowed, allowed]


def main() -> int:
    """Run the three processes. Returns the exit code of each."""
    config: dict[str, Any] = json.loads(sys.argv[1])
    command = sys.argv[2:]
    os.umask(0o022)
    status = int(config["status_fd"])
    os.set_inheritable(status, False)
    kernel: Kernel | None = None
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            kernel = Kernel()
    if kernel is not None:
        # If our parent is killed, nobody is left to enforce the time limit.
        kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # What leaves the session stays a descendant of this process, and can be counted.
        kernel.prctl(PR_SET_CHILD_SUBREAPER, 1)
    done: set[str] = set()
    refused: list[str] = []
    root = os.geteuid() == 0
    uid = FIRST_UID + os.getpid() if root else os.geteuid()
    isolate = config["isolation"] != "none"
    if isolate:
        done, refused = unshare_namespaces(kernel, root)

    if init := os.fork():
        return os.waitstatus_to_exitcode(wait_for(init)) & 0xFF
    if kernel is not None:
        kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if kernel is not None and "mounts" in done:
        refused += make_files_read_only(kernel, config, uid, done)

    if program := os.fork():
        report(status, {"exit": os.waitstatus_to_exitcode(wait_for(program))})
        return 0
    try:
        if "processes" in done:
            os.setsid()  # `kill(0, ...)` inside must not reach the launcher, which is out of the namespace
        if kernel is not None and isolate:
            refused += give_up_rights(kernel, config, uid, done)
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


def wait_for(process: int) -> int:
    """Wait for the end of `process`, and reap what else ends. Returns its wait status."""
    while True:
        child, code = os.wait()
        if child == process:
            return code


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

    The files in it are kept. What the program writes disappears with it. Folders with other programs' files
    and sockets are hidden (`HIDDEN`). So are folders that only their owner can enter, where the program gets
    another user. What the program needs of them is put in their place. Where a part of it is refused, nothing
    of it stays: half of it would hide what the program needs.
    """
    workdir = str(config["workdir"])
    files = {
        path: (path.read_bytes(), path.stat().st_mode) for path in Path(workdir).rglob("*") if path.is_file()
    }
    folders = [path for path in Path(workdir).rglob("*") if path.is_dir()]
    before: int | None = None
    try:
        before = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        kernel.call("unshare", CLONE_NEWNS)
        kernel.mount("none", "/", None, MS_REC | MS_PRIVATE)
        hide_folders(kernel, config, other_user=os.geteuid() != uid)
        Path(workdir).mkdir(parents=True, exist_ok=True)
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
        if before is not None:
            kernel.call("setns", before, CLONE_NEWNS)
        return [f"files: {error.strerror or error}"]
    finally:
        if before is not None:
            os.close(before)
    return []


def hide_folders(kernel: Kernel, config: dict[str, Any], *, other_user: bool) -> None:
    """Put empty folders over `HIDDEN` and over closed ones, and what the program needs back into them."""
    needs = [Path(need) for need in config["needs"]]
    hidden = {os.path.realpath(folder) for folder in HIDDEN}
    if other_user:
        for need in (path for one in needs for path in (one, one.resolve())):
            closed = [folder for folder in need.parents if not folder.stat().st_mode & stat.S_IXOTH]
            hidden |= {os.path.realpath(folder) for folder in closed[-1:]}
    kept: list[tuple[str, int]] = []
    try:
        for need in needs:
            for path in dict.fromkeys((str(need), os.path.realpath(need))):
                if any(
                    is_inside(os.path.realpath(path), folder) or is_inside(path, folder) for folder in hidden
                ):
                    kept.append((path, os.open(path, os.O_PATH | os.O_CLOEXEC)))
        for folder in sorted(hidden):
            if Path(folder).is_dir():
                kernel.mount("none", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
        for path, descriptor in sorted(kept):
            if os.path.lexists(path):
                continue  # it came with its folder, as a link perhaps to what follows
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                target.mkdir()
            else:
                target.touch()
            kernel.mount(f"/proc/self/fd/{descriptor}", path, None, MS_BIND | MS_REC)
    finally:
        for _, descriptor in kept:
            os.close(descriptor)


def is_inside(path: str, folder: str) -> bool:
    """Whether `path` is in `folder`."""
    return Path(path).is_relative_to(folder)


def hide_processes(kernel: Kernel) -> None:
    """Mount a new /proc, since the old one shows the processes outside. Where that is refused, hide it."""
    flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
    try:
        kernel.mount("proc", "/proc", "proc", flags)
    except OSError:
        kernel.mount("none", "/proc", "tmpfs", flags, "size=4k")


def give_up_rights(kernel: Kernel, config: dict[str, Any], uid: int, done: set[str]) -> list[str]:
    """Give up root, every capability, and system calls that lead out. Returns what was refused."""
    if os.geteuid() != uid:
        return drop_root(kernel, config, uid, done) + filter_calls(kernel, done)
    kernel.limit_capabilities()
    with contextlib.suppress(OSError):
        kernel.drop_capabilities()
    return filter_calls(kernel, done)


def drop_root(kernel: Kernel, config: dict[str, Any], uid: int, done: set[str]) -> list[str]:
    """Become a user that nobody else is, without capabilities.

    Where that user may not read the interpreter, the capability to read files is kept, and the files are not
    isolated. Root that cannot be given up loses its capabilities, also that one where it can do without.
    """
    needs = [Path(need) for need in config["needs"]]
    blind = {user: [need for need in needs if not readable_by(user, need)] for user in (0, uid)}
    refused: list[str] = []
    may_read = has_capability(CAP_DAC_READ_SEARCH)
    kernel.limit_capabilities(but=CAP_DAC_READ_SEARCH if blind[uid] else None)
    if blind[uid]:
        refused.append(f"files: other users cannot read {blind[uid][0]}")
    if blind[uid] and not may_read:
        why = "it alone can read the interpreter"
    else:
        kernel.prctl(PR_SET_KEEPCAPS, 1 if blind[uid] else 0)
        why = become(uid, Path(config["workdir"]))
    if why:
        # Root of a container with few user ids stays root, and can undo the mounts.
        refused.append(f"files: root cannot be given up: {why}")
        with contextlib.suppress(OSError):
            give(Path(config["workdir"]), 0)
    if refused:
        done.discard("files")
    if not blind[0 if why else uid]:
        kernel.drop_capabilities()
    elif may_read:
        kernel.keep_only(CAP_DAC_READ_SEARCH)
    return refused


def become(uid: int, workdir: Path) -> str:
    """Change to the user `uid`, who gets the working directory. Returns why that failed, if it did."""
    group = os.getegid()
    try:
        give(workdir, uid)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.setresgid(group, group, group)
        return error.strerror or str(error)
    return ""


def give(workdir: Path, uid: int) -> None:
    """Make `uid` the owner of the working directory and of all that is in it."""
    for path in (workdir, *workdir.rglob("*")):
        os.chown(path, uid, -1, follow_symlinks=False)


def has_capability(capability: int) -> bool:
    """Whether this process may use a capability."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text().split()
        return bool(int(status[status.index("CapPrm:") + 1], 16) >> capability & 1)
    return False


def filter_calls(kernel: Kernel, done: set[str]) -> list[str]:
    """Keep the program from sockets that it can see."""
    try:
        kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
        kernel.filter_calls()
        done.add("sockets")
    except OSError as error:
        return [f"sockets: {error.strerror or error}"]
    return []


def readable_by(uid: int, path: Path) -> bool:
    """Whether a user without capabilities, and of no group, may read the file."""

    def has(bit: int, place: Path) -> bool:
        found = place.stat()
        return bool(found.st_mode & (bit << 6 if found.st_uid == uid else bit))

    try:
        real = path.resolve()
        return all(has(stat.S_IXOTH, parent) for parent in real.parents) and has(stat.S_IROTH, real)
    except OSError:
        return False


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
