"""Around the namespaces: starts them, takes them away, and looks at what is left of them.

The kernel does the taking away: when this process dies, however it dies, the process that holds
the namespaces is killed, and with it all processes, mounts and interfaces of the cluster. What
remains are cgroup directories and files of the run, which the next run removes, as `clean` does.
"""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import cgroups, facts, images, scenario, tools, traces
from .scene import say
from .shell import Failure, until

PR_SET_PDEATHSIG = 1
# From the end of the cluster to the last of its connections and mounts being gone.
SETTLE_SECONDS = 10


def prepare():
    """Builds and downloads what is not there."""
    tools.prepare(say)
    return {name: str(path) for name, path in images.prepare(say).items()}


def main(only, keep):
    """One run; its results."""
    lock = locked()
    scenario.chosen(only)
    begun = time.monotonic()
    archives = prepare()
    results = [{"name": "prepare", "promise": "tools and images are there", "ok": True,
                "facts": {}, "seconds": round(time.monotonic() - begun, 2)}]
    clean()
    shutil.rmtree(facts.LOGS, ignore_errors=True)
    for directory in (facts.WORK, facts.LOGS):
        directory.mkdir(parents=True)
    before = traces.seen()
    results += inside({"only": only, "keep": keep, "archives": archives})
    results.append(torn_down(before))
    say(scenario.line(results[-1]))
    lock.close()
    return results


def locked():
    """One run at a time in this directory."""
    facts.LOGS.parent.mkdir(parents=True, exist_ok=True)
    lock = open(facts.LOGS.parent / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(f"another run is under way in {facts.LOGS.parent}") from None
    return lock


def inside(request):
    """Plays the scenarios in namespaces of their own; their results."""
    (facts.WORK / "request.json").write_text(json.dumps(request))
    command = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork",
               "--kill-child", "--propagation", "slave", "--mount-proc",
               sys.executable, "-m", "e2e.k8s", "inside"]
    process = subprocess.Popen(command, cwd=facts.REPOSITORY, stdin=subprocess.DEVNULL,
                               preexec_fn=die_with_parent)
    (facts.WORK / "unshare.pid").write_text(str(process.pid))
    child = until("the namespaces are made", 10, lambda: children(process.pid), every=0.02)
    (facts.WORK / "site.pid").write_text(str(child))
    # Ctrl-C reaches the child by itself; a signal to this process is passed on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    code = process.wait()
    file = facts.WORK / "results.json"
    if not file.exists():
        return [{"name": "scene", "promise": "the scenarios are played to their end", "ok": False,
                 "facts": {}, "why": f"their process ended with {code}", "seconds": 0}]
    return json.loads(file.read_text())


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def children(pid):
    """The only child of a process, or nothing yet."""
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(words[0]) if words else None


def torn_down(before):
    """The last scenario: the machine is as it was."""
    begun = time.monotonic()
    clean()
    left = []
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        left = traces.differences(before, traces.seen())
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    result = {"name": "torn-down", "promise": "mounts, cgroups, interfaces, firewall rules, "
              "sysctls and processes are what they were", "ok": not left, "facts": {},
              "seconds": round(time.monotonic() - begun, 2)}
    return result | ({"why": "\n".join(left)} if left else {})


def clean():
    """Takes away what a run left that did not get to its end."""
    mark = facts.WORK / "unshare.pid"
    if mark.exists():
        kill(int(mark.read_text()))
    remaining = cgroups.remove()
    if remaining:
        raise Failure("these cgroups are in use or cannot be removed: "
                      + ", ".join(map(str, remaining[:5])))
    shutil.rmtree(facts.WORK, ignore_errors=True)


def kill(pid):
    """Ends the holder of a run's namespaces, if the number is still its own."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return
    if words[0] == b"unshare" and b"e2e.k8s" in words:
        say("ending a run that was left behind")
        os.kill(pid, signal.SIGKILL)
        until("it is gone", 20, lambda: not Path(f"/proc/{pid}").exists())
