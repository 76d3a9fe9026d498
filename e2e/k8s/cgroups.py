"""The cgroup directories of the nodes: the one thing of them that outlives their processes."""

import os
import time
from pathlib import Path

from . import facts

PATIENCE_SECONDS = 10


def hierarchies():
    """Where cgroups are mounted, version 1 and 2."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [Path(words[1]) for words in map(str.split, lines) if words[2] in ("cgroup", "cgroup2")]


def directories():
    """All that is there of ours, the innermost first."""
    found = []
    for hierarchy in hierarchies():
        for path, _, _ in os.walk(hierarchy / facts.CGROUP, topdown=False):
            found.append(Path(path))
    return found


def make(name):
    """The directory of a node in each hierarchy; the kubelet wants to find it."""
    for hierarchy in hierarchies():
        for directory in (hierarchy / facts.CGROUP, hierarchy / facts.CGROUP / name):
            directory.mkdir(exist_ok=True)
            # Processors and memory are not inherited in version 1, and nothing runs without.
            for file in ("cpuset.cpus", "cpuset.mems"):
                target = directory / file
                if target.exists() and not target.read_text().strip():
                    target.write_text((directory.parent / file).read_text())
            control = directory.parent / "cgroup.subtree_control"
            controllers = directory.parent / "cgroup.controllers"
            if control.exists():
                control.write_text("".join(f"+{one} " for one in controllers.read_text().split()))


def remove():
    """Removes them, once what ran in them is gone; those that cannot be are given."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        for directory in directories():
            try:
                directory.rmdir()
            except OSError:
                pass
        remaining = directories()
        if not remaining or time.monotonic() > deadline:
            return remaining
        time.sleep(0.2)
