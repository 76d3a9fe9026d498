"""A node: the first process of a set of namespaces that look like a machine of their own.

Its root is what the machine has, with everything written to it kept in memory (an overlay): a pod
that writes to its host changes nothing that outlives the node. Killing this process ends the node
with all that it mounted and started; only cgroup directories remain.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import facts

# Directories that have to be on a real disk: overlays do not stack, and neither does passthrough.
DISKS = ("var/lib/containerd", "var/lib/kubelet", "var/log/pods", "var/log/containers",
         "var/cache", "tmp")
# The kubelet sets these for the whole machine; it may write them here as it likes.
SYSCTLS = {"vm/overcommit_memory": 1, "kernel/panic": 10, "kernel/panic_on_oops": 1}

RESTART_SECONDS = 0.5


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def overlay(work):
    """The node's root file system, not yet entered."""
    memory, root = work / "memory", work / "root"
    for directory in (memory, root):
        directory.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", "size=2g,mode=755", "node", memory)
    for layer in ("upper", "work"):
        (memory / layer).mkdir()
    mount("-t", "overlay", "-o",
          f"lowerdir=/,upperdir={memory}/upper,workdir={memory}/work", "node", root)
    for directory in ("dev", "sys"):
        mount("--rbind", f"/{directory}", root / directory)
    mount("-t", "proc", "proc", root / "proc")
    mount("-t", "tmpfs", "-o", "mode=755", "run", root / "run")
    for name in DISKS:
        disk = work / "disk" / name
        disk.mkdir(parents=True)
        (root / name).mkdir(parents=True, exist_ok=True)
        mount("--bind", disk, root / name)
    (root / "tmp").chmod(0o1777)
    # A checkout below one of these, such as /tmp, is no less what the node runs.
    for place in (facts.REPOSITORY, facts.TARGET, facts.CACHE):
        inside = root / place.relative_to("/")
        if not inside.exists():
            inside.mkdir(parents=True)
            mount("--bind", place, inside)
    logs = root / "var/log/components"
    logs.mkdir(parents=True)
    mount("--bind", facts.LOGS / work.name, logs)
    return root


def enter(root):
    """Makes `root` the root of everything here, and its mounts seen by pods that ask for it."""
    old = root / "run/old"
    old.mkdir()
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "run/old"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/run/old"], check=True)
    for name, value in SYSCTLS.items():
        file = Path("/run") / name.replace("/", "-")
        file.write_text(f"{value}\n")
        mount("--bind", file, f"/proc/sys/{name}")
    mount("--make-rshared", "/")


def network(config):
    """Waits for the interface that the cluster moves here, and names it as machines do."""
    deadline = time.monotonic() + 20
    while subprocess.run(["ip", "link", "show", config["interface"]],
                         capture_output=True).returncode != 0:
        if time.monotonic() > deadline:
            sys.exit(f"the interface {config['interface']} did not come")
        time.sleep(0.05)
    commands = [f"link set {config['interface']} name eth0", "link set lo up",
                f"addr add {config['address']}/24 dev eth0", "link set eth0 up",
                f"route add default via {facts.GATEWAY}"]
    commands += [f"route add {pods} via {address}" for address, pods in config["neighbours"]]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def main(file):
    config = json.loads(Path(file).read_text())
    work = Path(config["work"])
    enter(overlay(work))
    subprocess.run(["hostname", config["name"]], check=True)
    network(config)
    for name, text in config["files"].items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    Path("/var/log/components/ready").touch()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    supervise(config["components"])


def supervise(components):
    """Keeps the components running for ever, as an init system does: some give up at first."""
    running = {start(name, command): name for name, command in components.items()}
    while True:
        # Whatever loses its parent becomes a child of the first process, which has to bury it.
        name = running.pop(os.wait()[0], None)
        if name is not None:
            time.sleep(RESTART_SECONDS)
            running[start(name, components[name])] = name


def start(name, command):
    """Starts a component; its process."""
    with open(f"/var/log/components/{name}.log", "ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                start_new_session=True).pid


if __name__ == "__main__":
    main(sys.argv[1])
