"""The chart: buckets that a DaemonSet of ours mounts on every node."""

import hashlib
import json
import os
import threading

from .. import facts
from ..scenario import scenario
from ..shell import Failure, expect, run, until
from .cluster import one_node
from .guide import (BUCKET, MOUNT, MOUNTS, OTHER, SEEN, fill, fill_other, healed_after, jars, job,
                    measure, mount_of, planned, serves, watched, watcher)
from .spark import operator
from .ways import second_node

CHART = facts.REPOSITORY / "deploy/helm/mount-s3"
NAMESPACE = "mount-s3"
SELECTOR = "app.kubernetes.io/instance=mount-s3"
TAINT = "mount-s3.io/not-ready"
MODELS = "/mnt/models"
# Two looks five seconds apart that each wait four, and the start of a container.
PROBED_SECONDS = 40


def mounts(*more):
    """The mounts of the release: JARs, and a part of another bucket."""
    return [{"name": "jars", "bucket": BUCKET, "path": MOUNT},
            {"name": "models", "bucket": "ml-models", "prefix": "models/", "path": MODELS}, *more]


def values(scene, **changes):
    """A file of values for the cluster's store."""
    repository, tag = f"localhost/mount-s3:{facts.version()}".split(":")
    chosen = {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "mounts": mounts(), "cache": {"maxSize": "2GiB"},
        "endpoint": {"url": scene.store.endpoint, "forcePathStyle": True},
        "credentials": {"existingSecret": "store"}} | changes
    file = facts.WORK / "chart-values.json"
    file.write_text(json.dumps(chosen))
    return file


def upgrade(scene, *words, **changes):
    """Installs the chart, or changes what is installed."""
    scene.cluster.helm("upgrade", "--install", "mount-s3", CHART, "--namespace", NAMESPACE,
                       "--values", values(scene, **changes), *words)


def pods(cluster):
    """The release's pods that are not being taken away."""
    items = cluster.get("-n", NAMESPACE, "pods", "-l", SELECTOR)["items"]
    return [item for item in items if "deletionTimestamp" not in item["metadata"]]


def container(pod, name):
    """The status of a container."""
    statuses = pod["status"].get("containerStatuses", [])
    return next((status for status in statuses if status["name"] == name), {})


def rolled(cluster):
    """Waits until every pod is of the newest revision and ready."""
    cluster.kubectl("-n", NAMESPACE, "rollout", "status", "daemonset/mount-s3", "--timeout=120s",
                    seconds=130)
    cluster.running(SELECTOR, NAMESPACE)


BAD = {
    "no mount": ({"mounts": []}, "minItems"),
    "an unknown key": ({"mounts": [mounts()[0] | {"bukket": "x"}]}, "bukket"),
    "the root as a mount": ({"mounts": [mounts()[0] | {"path": "/"}]}, "/mounts/0/path"),
    "a mount beside the directory of mounts": (
        {"mounts": [mounts()[0] | {"path": "/srv/jars"}]}, "not below hostDirectory"),
    "two mounts on one path": (
        {"mounts": [mounts()[0], mounts()[0] | {"name": "again"}]}, "lie on or in each other"),
    "a mount in a mount": (
        {"mounts": [mounts()[0], mounts()[0] | {"name": "in", "path": MOUNT + "/in"}]},
        "lie on or in each other"),
    "two mounts of one name": (
        {"mounts": [mounts()[0], mounts()[0] | {"path": "/mnt/b"}]}, "a name of its own"),
    "a size that is none": ({"cache": {"maxSize": "lots"}}, "/cache/maxSize"),
}


@scenario()
def chart_refuses(scene):
    """The chart is sound, deploy/manifests is made from it, and wrong values are refused by name."""
    cluster = scene.cluster
    cluster.helm("lint", CHART, "--strict", "--values", values(scene))
    run([facts.REPOSITORY / "scripts/render-manifests", "--check"],
        env=os.environ | {"HELM": str(facts.BINARIES / "helm")})
    for what, (changes, words) in BAD.items():
        try:
            cluster.helm("template", "mount-s3", CHART, "--kube-version", facts.KUBERNETES,
                         "--values", values(scene, **changes))
        except Failure as refused:
            expect(words in str(refused), f"{what}: it does not say {words!r}: {refused}")
        else:
            raise Failure(f"{what} is not refused")
    scene.facts["refused"] = list(BAD)


@scenario(operator, chart_refuses)
def chart_mounts(scene):
    """The DaemonSet mounts two buckets on the node, without host namespaces; an earlier pod sees them."""
    cluster = scene.cluster
    # The guide's own DaemonSet, where it ran before, mounts at the same place.
    for namespace in ("spark-team-a", "weed"):
        cluster.kubectl("-n", namespace, "delete", "daemonset", "--all", "--wait")
    for node in cluster.nodes.values():
        for directory in (MOUNT, MODELS):
            node.shell(f"mountpoint -q {directory} && mount-s3 umount {directory} || true")
    fill(scene.store)
    content = fill_other(scene.store)
    scene.store.put_bytes("ml-models", "models/a.bin", b"model")
    for node in cluster.nodes.values():
        cluster.load(node, "image")
    cluster.namespace(NAMESPACE)
    cluster.apply({"apiVersion": "v1", "kind": "Secret",
                   "metadata": {"name": "store", "namespace": NAMESPACE},
                   "stringData": scene.store.environment()})
    cluster.pod("early", f"until [ -e {MOUNT}/{OTHER} ]; do sleep 0.2; done; "
                f"sha256sum {MOUNT}/{OTHER}", container=SEEN, **MOUNTS)
    until("the early pod runs", 120,
          lambda: cluster.get("pod", "early")["status"]["phase"] == "Running")
    upgrade(scene)
    rolled(cluster)
    printed = cluster.finish("early")
    expect(hashlib.sha256(content).hexdigest() in printed, f"the early pod printed {printed}")
    spec = pods(cluster)[0]["spec"]
    for name in ("hostPID", "hostIPC", "hostNetwork"):
        expect(not spec.get(name), f"the pod has {name}")
    for node in cluster.nodes.values():
        for directory in (MOUNT, MODELS):
            line = mount_of(node, directory)
            expect("fuse.mountpoint-s3 (ro," in line, f"{node.name}: mount says {line!r}")
    scene.facts["mount"] = mount_of(cluster.nodes[1])


@scenario(chart_mounts)
def chart_plain_pod(scene):
    """A pod of another namespace, as uid 1000, reads the bytes of both buckets."""
    cluster = scene.cluster
    content = fill_other(scene.store)
    cluster.namespace("elsewhere")
    cluster.pod("chart-reader", f"id -u; sha256sum {MOUNT}/{OTHER}; cat {MODELS}/a.bin",
                "elsewhere", container=SEEN, securityContext={"runAsUser": 1000}, **MOUNTS)
    printed = cluster.finish("chart-reader", "elsewhere").split()
    expect(printed == ["1000", hashlib.sha256(content).hexdigest(), f"{MOUNT}/{OTHER}", "model"],
           f"it printed {printed}")


@scenario(chart_plain_pod)
def chart_jobs(scene):
    """Three jobs use a mounted JAR: S3 is asked by plan for the first, and for none after it."""
    found = {}
    # One node, so that the plan is that of one cache.
    first = {"nodeSelector": {"kubernetes.io/hostname": "node-1"}}
    for name, gets in (("chart-first", planned(jars())), ("chart-second", 0), ("chart-third", 0)):
        scene.store.reset()
        job(scene, name, executor=first)
        measure(scene, name, gets=gets)
        found[name] = dict(scene.facts)
        scene.facts.clear()
    scene.facts |= found


@scenario(chart_plain_pod)
def chart_rolled_under_a_job(scene):
    """The mount's pods are deleted and rolled under a job and a reader; the next read is right."""
    cluster = scene.cluster
    reader = watcher(cluster, "rolled")
    outcome = []

    def run_job():
        try:
            job(scene, "rolled")
            outcome.append("completed")
        except Failure as failure:
            outcome.append(str(failure))

    running = threading.Thread(target=run_job)
    running.start()
    try:
        until("the driver runs", 120, lambda: cluster.get(
            "-n", "spark-team-a", "pod", "rolled-driver")["status"]["phase"] == "Running")
        cluster.kubectl("-n", NAMESPACE, "delete", "pods", "-l", SELECTOR)
        rolled(cluster)
        cluster.kubectl("-n", NAMESPACE, "rollout", "restart", "daemonset/mount-s3")
        rolled(cluster)
        after = len(watched(cluster, reader))
        until("the reader reads again", 10, lambda: "ok" in watched(cluster, reader)[after:])
    finally:
        running.join()
    reads = watched(cluster, reader)
    scene.facts |= {"job": outcome[0].splitlines()[0], "reads": len(reads),
                    "failed reads": reads.count("failed")}
    expect("failed" not in reads[after + 5:], "reads fail after the roll")


@scenario(chart_plain_pod)
def chart_hung(scene):
    """A daemon that hangs is found by the probes, its container started anew, the reader goes on."""
    cluster = scene.cluster
    node = cluster.nodes[1]
    reader = watcher(cluster, "hung")
    node.shell(f"kill -STOP {daemon_of(node, BUCKET)}")
    scene.facts["healed after s"] = healed_after(node, PROBED_SECONDS)
    after = len(watched(cluster, reader))
    until("the reader reads again", 15, lambda: "ok" in watched(cluster, reader)[after:])
    cluster.running(SELECTOR, NAMESPACE)


@scenario(chart_plain_pod)
def chart_killed(scene):
    """`kill -9` of daemon and keeper is healed by a new container; the other mount serves on."""
    cluster = scene.cluster
    node = cluster.nodes[1]
    models = daemon_of(node, "ml-models")
    node.shell(f"kill -KILL $(pgrep -f '^mount-s3.* {BUCKET} {MOUNT}$')")
    until("the mount is dead", 5, lambda: not serves(node), every=0.05)
    scene.facts["healed after s"] = healed_after(node, PROBED_SECONDS)
    expect(daemon_of(node, "ml-models") == models, "the other mount was started anew")
    cluster.running(SELECTOR, NAMESPACE)


def daemon_of(node, bucket):
    """The process that serves a bucket's mount: the child of the one that keeps it."""
    keeper = node.shell(f"pgrep -o -f '^mount-s3 --foreground.* {bucket} '").split()[0]
    return node.shell(f"pgrep -P {keeper}").split()[0]


@scenario(chart_plain_pod)
def chart_without_a_bucket(scene):
    """A bucket that does not exist: its container says so in the pod's status; others serve on."""
    cluster = scene.cluster
    missing = {"name": "missing", "bucket": "no-such-bucket", "path": "/mnt/missing"}
    upgrade(scene, mounts=mounts(missing))

    def said():
        found = [container(pod, "missing") for pod in pods(cluster)]
        ended = [one.get("lastState", {}).get("terminated") or one.get("state", {}).get("terminated")
                 for one in found]
        return next((one["message"] for one in ended if one and one.get("message")), None)

    message = until("the container says what is wrong", 90, said)
    expect("no-such-bucket" in message and "why:" in message and "fix:" in message,
           f"the status says {message}")
    scene.facts["status"] = message.strip().splitlines()
    until("the other mounts serve", 30, lambda: any(
        container(pod, "jars").get("ready") and container(pod, "models").get("ready")
        for pod in pods(cluster)))
    expect(serves(cluster.nodes[1]), "the other mount does not serve")
    upgrade(scene)
    rolled(cluster)


@scenario(chart_plain_pod)
def chart_while_s3_is_away(scene):
    """S3 is away for half a minute: no container is started anew, and what is cached is read."""
    cluster = scene.cluster
    node = cluster.nodes[1]
    expect(serves(node), "the mount does not serve")
    before = [status["restartCount"] for pod in pods(cluster)
              for status in pod["status"]["containerStatuses"]]
    reader = watcher(cluster, "away")
    scene.store.control("POST", "/rules", json.dumps({"fault": "stall"}).encode())
    try:
        count = len(watched(cluster, reader))
        until("half a minute of reads", 60,
              lambda: len(watched(cluster, reader)) >= count + 100, every=2)
    finally:
        scene.store.control("DELETE", "/rules")
    expect("failed" not in watched(cluster, reader), "a cached read failed")
    after = [status["restartCount"] for pod in pods(cluster)
             for status in pod["status"]["containerStatuses"]]
    expect(after == before, f"containers were started anew: {before} -> {after}")


@scenario(chart_mounts, second_node)
def chart_holds_pods_back(scene):
    """Two nodes start tainted: a pod starts only when the warm list is in the cache of its node."""
    cluster = scene.cluster
    contents = {f"warm/{number}.bin": bytes((index * 13 + number) % 241 for index in range(1 << 16))
                * 400 for number in range(3)}
    for key, content in contents.items():
        scene.store.put_bytes(BUCKET, key, content)
    for name in ("node-1", "node-2"):
        cluster.kubectl("taint", "node", name, f"{TAINT}=:NoSchedule")
    scene.store.reset()
    cluster.pod("held", f"cat {MOUNT}/warm/*.bin | sha256sum", container=SEEN, **MOUNTS)
    until("the pod is held back", 20, lambda: "untolerated taint" in json.dumps(
        cluster.get("pod", "held")["status"].get("conditions", [])))
    expect(not scene.store.gets("warm/"), "something was fetched before")
    warmed = mounts()
    warmed[0]["warm"] = ["warm/*.bin"]
    upgrade(scene, mounts=warmed, announce={"enabled": True})
    until("the pod has started", 120,
          lambda: cluster.get("pod", "held")["status"]["phase"] != "Pending")
    gets = len(scene.store.gets("warm/"))
    printed = cluster.finish("held").split()
    whole = b"".join(contents[key] for key in sorted(contents))
    expect(printed[0] == hashlib.sha256(whole).hexdigest(), f"it printed {printed}")
    rolled(cluster)
    parts = sum(-(-len(content) // (8 << 20)) for content in contents.values())
    total = len(scene.store.gets("warm/"))
    scene.facts |= {"gets when it started": gets, "gets of two nodes": total}
    expect(gets >= parts, f"{gets} GETs of {parts} had been sent when the pod started")
    expect(total == 2 * parts, f"{total} GETs for two nodes, not {2 * parts}")
    for name in ("node-1", "node-2"):
        node = cluster.get("node", name)
        expect(TAINT not in json.dumps(node["spec"]), f"{name} is still tainted")
        expect(node["metadata"]["labels"].get("mount-s3.io/ready") == "true", f"{name}: no label")


@scenario(chart_holds_pods_back)
def chart_marks_its_own_node_only(scene):
    """The account of the announcer may not change a node that it does not run on."""
    cluster = scene.cluster
    (pod,) = [pod for pod in pods(cluster) if pod["spec"]["nodeName"] == "node-1"]
    token = cluster.kubectl("-n", NAMESPACE, "create", "token", "mount-s3",
                            "--bound-object-kind", "Pod", "--bound-object-name",
                            pod["metadata"]["name"]).strip()
    server = cluster.get("endpoints", "kubernetes")["subsets"][0]
    url = f"https://{server['addresses'][0]['ip']}:{server['ports'][0]['port']}"
    said = {}
    for name in ("node-1", "node-2"):
        done = run([facts.BINARIES / "kubectl", "--kubeconfig", "/dev/null", "--server", url,
                    "--insecure-skip-tls-verify", "--token", token, "label", "node", name,
                    "mount-s3.io/tried=yes"], check=False)
        said[name] = done.stdout + done.stderr
    expect("labeled" in said["node-1"], f"its own node: {said['node-1']}")
    expect("and no other" in said["node-2"], f"the other node: {said['node-2']}")


@scenario(chart_mounts)
def chart_taken_away(scene):
    """After `helm uninstall` no mount and no process is left on the nodes."""
    cluster = scene.cluster
    cluster.helm("uninstall", "mount-s3", "--namespace", NAMESPACE, "--wait")
    for node in cluster.nodes.values():
        until(f"{node.name} has no mount", 60,
              lambda: not mount_of(node, MOUNT) and not mount_of(node, MODELS))
        until("no process is left", 20,
              lambda: not node.shell("pgrep -f '^mount-s3 (--foreground|announce)' || true").strip())
