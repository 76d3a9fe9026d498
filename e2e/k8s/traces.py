"""What a run could leave on the machine, seen before and after it."""

import os
import subprocess
from pathlib import Path

from . import cgroups, facts

OF_OTHERS_TOO = ("processes", "FUSE connections")
SYSCTLS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


def seen():
    """All that is compared, each kind as a set of lines."""
    return {
        "mounts": mounts(),
        "cgroups": {str(directory) for directory in cgroups.directories()},
        "interfaces": set(os.listdir("/sys/class/net")),
        "firewall rules": rules(),
        "sysctls": {f"{name} = {Path('/proc/sys', name).read_text().strip()}"
                    for name in SYSCTLS},
        "processes": processes(),
        "FUSE connections": fuse(),
    }


def differences(before, after):
    """What came and what went, in words."""
    words = []
    for kind, lines in after.items():
        words += [f"{kind}: left behind: {line}" for line in sorted(lines - before[kind])]
        # Others may end what they had begun.
        if kind not in OF_OTHERS_TOO:
            words += [f"{kind}: taken away: {line}" for line in sorted(before[kind] - lines)]
    return words


def mounts():
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    # Without the numbers, which are given anew. Tests of the crates mount below /tmp, a run does not.
    described = {" ".join(line.split()[3:]) for line in lines}
    return {line for line in described if not line.split()[1].startswith("/tmp/")}


def rules():
    lines = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout.splitlines()
    return {line for line in lines if line.startswith("-A")}


def processes():
    """Processes of a run: each sees mounts of its directory, or is in its cgroups."""
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                ours = (str(facts.WORK) in (process / "mountinfo").read_text()
                        or facts.CGROUP in (process / "cgroup").read_text())
                if ours:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    found.add(f"{process.name} {command.decode(errors='replace')[:80]}")
            except OSError:
                pass
    return found


def fuse():
    directory = Path("/sys/fs/fuse/connections")
    return set(os.listdir(directory)) if directory.exists() else set()
