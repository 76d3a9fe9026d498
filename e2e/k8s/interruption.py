"""Runs that are ended from outside: the machine is as it was after each of them."""

import os
import signal
import subprocess
import sys
import time

from . import facts, scenario, supervisor, traces
from .scene import say
from .shell import Failure, expect, until

START_SECONDS = 120
END_SECONDS = 60
# Ctrl-C reaches all processes in front of the terminal, the others one process.
WAYS = {"ctrl-c": (os.killpg, signal.SIGINT), "terminated": (os.kill, signal.SIGTERM),
        "killed": (os.kill, signal.SIGKILL)}


def main():
    """Starts a cluster and ends it, once in each way; the results."""
    supervisor.prepare()
    results = []
    for name, (send, number) in WAYS.items():
        begun = time.monotonic()
        result = {"name": name, "promise": f"nothing is left of a cluster that is {name}",
                  "ok": True, "facts": {}}
        try:
            interrupted(send, number)
        except Failure as failure:
            result |= {"ok": False, "why": str(failure)}
        result["seconds"] = round(time.monotonic() - begun, 2)
        say(scenario.line(result))
        results.append(result)
    return results


def interrupted(send, number):
    """One cluster, ended by a signal while a node runs."""
    supervisor.clean()
    before = traces.seen()
    log = facts.TARGET / "e2e/interruption.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "e2e.k8s", "--only", "one-node", "--keep"],
            cwd=facts.REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True)
    try:
        until(f"the cluster is there (see {log})", START_SECONDS,
              lambda: "the cluster is kept" in log.read_text())
        expect(traces.processes(), "a running cluster has no processes: nothing would be seen")
        send(process.pid, number)
        process.wait(END_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
    until("all processes of the run are gone", 20, lambda: not traces.processes())
    # What a killed run leaves, the next one or `clean` takes away.
    supervisor.clean()
    left = traces.differences(before, traces.seen())
    expect(not left, "\n".join(left))
