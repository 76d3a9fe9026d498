"""Inside the namespaces: the cluster and its store, the scenarios, and their logs."""

import json
import os
import signal
import sys
import time

from . import facts, scenario
from .cluster import Cluster
from .shell import Failure
from .store import Lab


class Scene:
    """What a scenario is given. `facts` takes what it measures."""

    def __init__(self, archives):
        self.cluster = Cluster(archives)
        self.store = Lab()
        self.facts = {}


def main(request):
    """Plays what the supervisor asks for and writes the results for it."""
    # The first process of a namespace is sent no signal that it does not handle.
    signal.signal(signal.SIGTERM, interrupt)
    results = []
    scene = None
    try:
        scenarios = scenario.chosen(request["only"])
        scene = Scene(request["archives"])
        results = scenario.play(scenarios, scene, say)
        if request["keep"]:
            keep(scene.cluster)
    except KeyboardInterrupt:
        results.append(broken("interrupted"))
    except Failure as failure:
        results.append(broken(str(failure)))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if scene is not None:
            collect(scene.cluster)
            scene.cluster.stop()
    (facts.WORK / "results.json").write_text(json.dumps(results))


def interrupt(*_):
    raise KeyboardInterrupt


def broken(why):
    result = {"name": "scene", "promise": "the scenarios are played to their end", "ok": False,
              "facts": {}, "why": why, "seconds": 0}
    say(scenario.line(result))
    return result


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def keep(cluster):
    """Leaves the cluster as it is until somebody says that it is enough."""
    say("the cluster is kept until Ctrl-C; for a shell with kubectl in it, in another terminal:")
    say(f"  sudo nsenter --target $(cat {facts.WORK / 'site.pid'}) --all env "
        f"KUBECONFIG={cluster.kubeconfig} PATH={facts.BINARIES}:$PATH bash")
    sys.stdout.flush()
    try:
        signal.pause()
    except KeyboardInterrupt:
        say("ending")


def collect(cluster):
    """Writes the state of the cluster and what its containers printed to the logs."""
    if not cluster.nodes:
        return
    questions = {
        "objects.txt": ["get", "all,sparkapplications", "-A", "-o", "wide"],
        "pods.txt": ["describe", "pods", "-A"],
        "events.txt": ["get", "events", "-A", "--sort-by=.lastTimestamp"]}
    for file, words in questions.items():
        try:
            text = cluster.kubectl(*words, seconds=20)
        except Failure as failure:
            text = str(failure)
        (facts.LOGS / file).write_text(text)
    for number, node in cluster.nodes.items():
        # The kubelet's own files are there also when the API server is not.
        source = facts.WORK / node.name / "disk/var/log/pods"
        target = facts.LOGS / node.name / "pods"
        if source.exists():
            copy_logs(source, target)


def copy_logs(source, target):
    for directory, _, names in os.walk(source):
        for name in names:
            file = os.path.join(directory, name)
            copy = target / os.path.relpath(file, source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with open(file, "rb") as log:
                copy.write_bytes(log.read())
