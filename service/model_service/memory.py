"""What a version costs in memory, as measured in this process.

Measured is the anonymous memory of the process before a load and after the proof (`RssAnon` of proc(5)): what was
allocated and touched, without files that are mapped and shared. Freed memory that the allocator kept is given back
before, or it would be filled first and hide the cost. A version costs no less than its file holds.
"""

import ctypes
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def trim() -> None:
    """Have the C library give freed memory back to the system, where it can."""
    if sys.platform == "linux":
        release = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if release is not None:
            release(0)


def anonymous() -> int:
    """Anonymous resident memory of this process in bytes; 0 where the system does not tell."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:")), 0)
