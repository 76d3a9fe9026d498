"""What a run could leave on the machine, seen before and after it."""

import os
import subprocess
from pathlib import Path

from . import cgroups

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
        "namespaces with processes": namespaces(),
        "FUSE connections": fuse(),
    }


def differences(before, after):
    """What came and what went, in words."""
    words = []
    for kind, lines in after.items():
        words += [f"{kind}: left behind: {line}" for line in sorted(lines - before[kind])]
        words += [f"{kind}: taken away: {line}" for line in sorted(before[kind] - lines)]
    return words


def mounts():
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    # Without the numbers, which are given anew.
    return {" ".join(line.split()[3:]) for line in lines}


def rules():
    lines = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout.splitlines()
    return {line for line in lines if line.startswith("-A")}


def namespaces():
    """The process-id namespaces that have processes: each node is one, each pod another."""
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                found.add(os.readlink(process / "ns/pid"))
            except OSError:
                pass
    return found


def fuse():
    directory = Path("/sys/fs/fuse/connections")
    return set(os.listdir(directory)) if directory.exists() else set()
