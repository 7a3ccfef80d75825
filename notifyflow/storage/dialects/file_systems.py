"""File systems whose files are lost: with the machine's memory, or with the container whose layer they are in."""

import os
from contextlib import suppress
from pathlib import Path

_VOLATILE = frozenset({"tmpfs", "ramfs", "overlay", "fuse.fuse-overlayfs"})
_MOUNTS = Path("/proc/self/mountinfo")


def volatile_type(folder: str) -> str | None:
    """Return the type of a folder's file system if its files are lost with their machine or container.

    Returns:
        None if they are kept, and where that is unknown: the folder does not exist, or the system has no mountinfo (proc(5)).
    """
    with suppress(OSError):
        device = os.stat(folder).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        for line in _MOUNTS.read_text("utf-8", "surrogateescape").splitlines():
            mount, _, source = line.partition(" - ")
            if mount.split(" ")[2] == number:
                kind = source.split(" ")[0]
                return kind if kind in _VOLATILE else None
    return None
