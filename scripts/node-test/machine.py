"""A machine to test on: a small Debian, plain or started with systemd, in its own namespaces."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

NAME = "mount-s3-machine-"
# What systemd has to find before it starts: devices, an empty /run, a tree of cgroups.
START = r"""
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for device in null zero full random urandom tty fuse; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
# As systemd does it outside of containers: services with a view of their own let go of mounts too.
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" /lib/systemd/systemd \
    --log-target=null --show-status=no
"""


class Failure(Exception):
    """What a test found; its text says it."""


def run(words, patience=120, **more):
    """Runs a command; both of its outputs are in `stdout`."""
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience,
        check=False,
        **more,
    )


def until(what, condition, patience=20):
    """Waits for something to come true."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    raise Failure(f"did not come true within {patience} s: {what}")


def unified():
    """Where the tree of cgroup2 is, also on machines that have the older one beside it."""
    for path in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        if (path / "cgroup.procs").exists():
            return path
    raise Failure("there is no cgroup2: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified")


def remove_cgroup(top):
    """Removes a cgroup and those below it; nobody may be in them."""
    for directory in sorted(top.rglob("*"), reverse=True):
        if directory.is_dir():
            directory.rmdir()
    top.rmdir()


def sweep(debian):
    """Removes what a run left that was killed. Only one run at a time may be on a Debian."""
    for scratch in debian.parent.glob(f"{NAME}*"):
        cgroup = unified() / scratch.name
        if cgroup.is_dir():
            remove_cgroup(cgroup)
        shutil.rmtree(scratch)


class Machine:
    """A Debian, changed only in a layer that `with` removes, with everything that runs in it."""

    def __init__(self, debian):
        self.debian = debian
        self.outer = None
        self.init = None
        self.cgroup = None

    def __enter__(self):
        self.scratch = Path(tempfile.mkdtemp(prefix=NAME, dir=self.debian.parent))
        self.root = self.scratch / "root"
        self.layer = self.scratch / "layer"
        work = self.scratch / "work"
        for directory in (self.root, self.layer, work):
            directory.mkdir()
        layers = f"lowerdir={self.debian},upperdir={self.layer},workdir={work}"
        made = run(["mount", "-t", "overlay", "-o", layers, "overlay", str(self.root)])
        if made.returncode:
            shutil.rmtree(self.scratch)
            raise Failure(f"no layer can be laid over {self.debian}: {made.stdout}")
        return self

    def __exit__(self, *_):
        self.power_off()
        unmounted = run(["umount", str(self.root)])
        if unmounted.returncode:
            raise Failure(f"the machine's disk is still in use: {unmounted.stdout}")
        shutil.rmtree(self.scratch)

    def start(self):
        """Starts systemd, and waits until it has started everything."""
        self.cgroup = unified() / self.scratch.name
        self.cgroup.mkdir()
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]
        join = f'echo $$ >"{self.cgroup}/cgroup.procs"; exec unshare "$@"'
        inner = ["bash", "-euc", START]
        words = ["bash", "-euc", join, "sh", *namespaces, "--propagation", "private", *inner]
        log = open(self.scratch / "start.log", "w", encoding="utf-8")
        self.outer = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "root": str(self.root)},
        )
        children = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")
        self.init = until(
            "systemd is a process", lambda: children.exists() and children.read_text().split()
        )[0]
        states = ("running", "degraded")
        try:
            until(
                "systemd has started",
                lambda: self("systemctl is-system-running").stdout.strip() in states,
                60,
            )
        except Failure as failure:
            raise Failure(f"{failure}\n{(self.scratch / 'start.log').read_text()}") from None

    def __call__(self, script, patience=120):
        """Runs a script of bash in the machine; it need not succeed."""
        environment = [
            "env",
            "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LC_ALL=C",
        ]
        bash = [*environment, "bash", "-uc", script]
        if self.init is None:
            return run(["chroot", str(self.root), *bash], patience)
        enter = [
            "nsenter",
            "--target",
            self.init,
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--cgroup",
            "--root",
            "--wd",
        ]
        return run([*enter, *bash], patience)

    def ok(self, script, patience=120):
        """Runs a script that has to succeed, and gives what it said."""
        ran = self(script, patience)
        if ran.returncode:
            raise Failure(f"{script}\n  ended with {ran.returncode}: {ran.stdout}")
        return ran.stdout

    def fails(self, script, patience=120):
        """Runs a script that must not succeed, and gives what it said."""
        ran = self(script, patience)
        if not ran.returncode:
            raise Failure(f"{script}\n  succeeded: {ran.stdout}")
        return ran.stdout

    def power_off(self):
        """Ends everything at once, as when the power goes."""
        if self.outer is None:
            return
        # With process 1 everything in its namespaces ends; without it, unshare takes it along.
        os.kill(int(self.init or self.outer.pid), signal.SIGKILL)
        self.ended()

    def shut_down(self):
        """Ends everything in order, as `poweroff` does."""
        self("systemctl poweroff --no-block")
        self.ended()

    def ended(self):
        """Waits for the end, and removes the cgroups that nobody is in any more."""
        self.outer.wait(timeout=60)
        self.outer = self.init = None
        until(
            "the machine is off",
            lambda: "populated 0" in (self.cgroup / "cgroup.events").read_text(),
        )
        remove_cgroup(self.cgroup)

    def changes(self):
        """What is there that was not, or is not any more, without what package tools note down."""
        notes = ("var/lib/dpkg", "var/lib/apt", "root/.rpmdb", "var/log", "var/cache/apt")
        names = {path.relative_to(self.layer).as_posix() for path in self.layer.rglob("*")}
        names = {name for name in names if not name.startswith(notes)}
        # The layer also has the directories above a change.
        return {
            name
            for name in names
            if not (self.layer / name).is_dir() or not (self.debian / name).is_dir()
        }
