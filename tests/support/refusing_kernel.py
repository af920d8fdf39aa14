"""Runs a command where the kernel refuses a system call.

Usage: `python refusing_kernel.py CALL ARGUMENT BITS COMMAND...`.

A seccomp filter answers EPERM when argument number ARGUMENT of CALL has one of BITS set. Processes that the
command starts inherit the filter. Linux on x86-64 and arm64 only. Source: seccomp(2).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

CALLS = {
    "x86_64": {"unshare": 272, "setresuid": 117, "mount": 165, "mount_setattr": 442},
    "aarch64": {"unshare": 97, "setresuid": 147, "mount": 40, "mount_setattr": 442},
}
LOAD, JUMP_IF_EQUAL, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW, and SECCOMP_RET_ERRNO with EPERM
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
ALL_BITS = 0xFFFFFFFF


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse(call: str, argument: int, bits: int) -> None:
    instructions = [
        (LOAD, 0, 0, 0),  # the number of the call
        (JUMP_IF_EQUAL, 0, 3, CALLS[platform.machine()][call]),
        (LOAD, 0, 0, 16 + 8 * argument),  # the lower half of the argument
        (JUMP_IF_SET, 0, 1, bits),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *one) for one in instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(instructions), code)
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)),
    ):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    os.execv(sys.argv[4], sys.argv[4:])
