"""How much memory there is, asked before something as large as a file says is made."""

from __future__ import annotations

import os
from pathlib import Path

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says what a container may have, of cgroup 2 and 1."""


def available_memory() -> int:
    """Return the bytes that can be taken now; on systems that do not say, as many as an address can reach.

    >>> available_memory() > 0
    True
    """
    found = [_free(), *(_limit(Path(place)) for place in LIMITS)]
    return min((one for one in found if one is not None), default=2**47)


def _free() -> int | None:
    """Return the free memory of the machine: what Linux calls available, else its free pages."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):  # not Linux
        return None


def _limit(place: Path) -> int | None:
    try:
        text = place.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
