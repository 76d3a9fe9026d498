"""The other ways to hand JARs and models to Spark, several buckets, two nodes, another store."""

import hashlib

from ..cluster import is_ready
from ..scenario import scenario
from ..shell import expect, until
from ..weed import Weed
from .cluster import one_node
from .guide import (BUCKET, DEPLOY, MOUNT, MOUNTS, SEEN, daemonset, executor_logs,
                    guide_daemonset, guide_first_job, jars, job, mount_of, planned, serves)
from .spark import GUIDE_LABEL, NAMESPACE, finished

MODEL_BYTES = 24 << 20


def cold(node):
    """Empties the node's cache; the DaemonSet mounts again."""
    node.shell(f"mount-s3 umount {MOUNT}; rm -rf /tmp/mountpoint-cache/*")
    until("the mount serves again", 30, lambda: serves(node))


def fetched(scene, bucket=BUCKET, prefix="jars/"):
    """GETs of a bucket's objects since the reset."""
    return [line for line in scene.store.gets(prefix) if line["bucket"] == bucket]


@scenario(guide_first_job)
def class_path(scene):
    """JARs on extraClassPath are read where they are: on a cold node, at most what is in them."""
    cluster = scene.cluster
    cold(cluster.nodes[1])
    scene.store.reset()
    job(scene, "class-path", manifest="extra-class-path")
    gets = fetched(scene)
    driver = cluster.logs("class-path-driver", NAMESPACE)
    expect(f'"class_from": "{MOUNT}/jars/hadoop-aws' in driver, f"the driver wrote {driver[-2000:]}")
    scene.facts |= {"gets": len(gets), "bytes": sum(line["bytes_out"] for line in gets),
                    "jars": sum(jar.stat().st_size for jar in jars())}
    # A zip file is opened at its end: one request more for each than its parts.
    expect(0 < len(gets) <= planned(jars()) + len(jars()), f"{len(gets)} GETs")
    expect(scene.facts["bytes"] <= scene.facts["jars"], f"S3 was asked for {scene.facts}")


@scenario(guide_daemonset)
def other_urls(scene):
    """JARs by file:// or s3a:// are for the submitter to find: without more, it says what it lacks."""
    refused(scene.cluster, "file-urls", "file:///mnt/s3/jars/", "spark.kubernetes.file.upload.path")
    refused(scene.cluster, "s3a-urls", f"s3a://{BUCKET}/jars/", "S3AFileSystem not found")


def refused(cluster, name, prefix, reason):
    """Submits the guide's job with its JARs from elsewhere, and expects that it is not submitted."""
    (value,) = cluster.read(DEPLOY / "spark/spark-with-mountpoint.yaml")
    value["metadata"]["name"] = name
    conf = value["spec"]["sparkConf"]
    conf["spark.jars"] = conf["spark.jars"].replace(f"local://{MOUNT}/jars/", prefix)
    cluster.apply(value)

    def state():
        status = cluster.get("-n", NAMESPACE, "sparkapplication", name).get("status", {})
        return status.get("applicationState", {})

    ended = until(f"the job {name} has ended", 90, lambda: state().get("state") in (
        "FAILED", "SUBMISSION_FAILED") and state())
    expect(reason in ended.get("errorMessage", ""), f"the job ended with {ended}")
    cluster.kubectl("-n", NAMESPACE, "delete", "sparkapplication", name)


@scenario(guide_daemonset)
def ml_model(scene):
    """A model of another bucket, with a mount of its own, is read by all tasks and fetched once."""
    cluster = scene.cluster
    content = bytes(index * 11 % 253 for index in range(1 << 20)) * (MODEL_BYTES >> 20)
    scene.store.put_bytes("ml-models", "models/classifier.bin", content)
    scene.store.put(BUCKET, "jobs/ml-model.py", DEPLOY / "spark/ml-model.py")
    cluster.apply(*daemonset(cluster, "ml-models", S3_BUCKET_NAME="ml-models",
                             MOUNT_POINT="/mnt/ml-models"))
    until("the models are mounted", 120, lambda: mount_of(cluster.nodes[1], "/mnt/ml-models"))
    scene.store.reset()
    (value,) = cluster.read(DEPLOY / "spark/ml-model.yaml")
    for role in ("driver", "executor"):
        value["spec"][role]["coreRequest"] = "100m"
    cluster.apply(value)
    finished(cluster, "ml-model")
    printed = cluster.logs("ml-model-driver", NAMESPACE)
    wanted = f"model: {MODEL_BYTES} bytes, sha256 {hashlib.sha256(content).hexdigest()}, 8 tasks"
    expect(wanted in printed, f"the driver wrote {printed[-2000:]}")
    gets = fetched(scene, "ml-models", "models/")
    scene.facts |= {"gets": len(gets), "bytes": sum(line["bytes_out"] for line in gets)}
    expect(scene.facts == {"gets": 3, "bytes": MODEL_BYTES}, f"S3 was asked for {scene.facts}")


@scenario(guide_daemonset)
def several_buckets(scene):
    """A job takes one JAR from each of two buckets, mounted below one directory of the node."""
    cluster = scene.cluster
    for name, jar in zip(("prod-jars", "dev-jars"), reversed(jars())):
        scene.store.put(name, f"jars/{jar.name}", jar)
        cluster.apply(*daemonset(cluster, name, S3_BUCKET_NAME=name, MOUNT_POINT=f"/mnt/{name}"))
    for name in ("prod-jars", "dev-jars"):
        until(f"{name} is mounted", 120, lambda: mount_of(cluster.nodes[1], f"/mnt/{name}"))
    job(scene, "several", manifest="several-buckets")
    driver = cluster.logs("several-driver", NAMESPACE)
    expect('"class_from": "/mnt/prod-jars/jars/hadoop-aws' in driver,
           f"the driver wrote {driver[-2000:]}")
    for pod, log in executor_logs(cluster, "several").items():
        for directory in ("/mnt/prod-jars", "/mnt/dev-jars"):
            expect(f"Fetching file:{directory}/jars/" in log, f"{pod} fetched nothing there")


@scenario(guide_daemonset)
def another_store(scene):
    """The same from SeaweedFS: a pod reads the right bytes."""
    cluster = scene.cluster
    weed = Weed()
    content = jars()[-1].read_bytes()
    weed.put(BUCKET, "jars/library.jar", content)
    cluster.namespace("weed")
    cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount",
                   "metadata": {"name": NAMESPACE, "namespace": "weed"}})
    cluster.apply({"apiVersion": "v1", "kind": "Secret",
                   "metadata": {"name": "mountpoint-s3", "namespace": "weed"},
                   "stringData": weed.environment()})
    objects = daemonset(cluster, MOUNT_POINT="/mnt/weed")
    for one in objects:
        one["metadata"]["namespace"] = "weed"
    cluster.apply(*objects)
    until("SeaweedFS's bucket is mounted", 120, lambda: mount_of(cluster.nodes[1], "/mnt/weed"))
    cluster.pod("reader", "sha256sum /mnt/weed/jars/library.jar", "weed", container=SEEN, **MOUNTS)
    printed = cluster.finish("reader", "weed").split()
    expect(printed[0] == hashlib.sha256(content).hexdigest(), f"it printed {printed}")


@scenario(one_node)
def second_node(scene):
    """A second node becomes ready; a pod on it reaches a pod on the first."""
    node = scene.cluster.start(2)
    # Tainted before anything finds it; what it will run is there before it is wanted.
    scene.cluster.kubectl("taint", "node", node.name, "dedicated=spark:NoSchedule")
    for archive in scene.cluster.archives:
        scene.cluster.load(node, archive)
    scene.cluster.pod("listener", "echo from the first node | nc -l -p 7000", nodeName="node-1",
                      container={"ports": [{"containerPort": 7000}]})
    until("the listener runs", 120, lambda: is_ready(scene.cluster.get("pod", "listener")))
    address = scene.cluster.get("pod", "listener")["status"]["podIP"]
    scene.cluster.pod("caller", f"nc -w 5 {address} 7000", nodeName="node-2")
    printed = scene.cluster.finish("caller")
    expect("from the first node" in printed, f"it printed {printed}")


@scenario(guide_first_job, second_node)
def two_nodes(scene):
    """A second, tainted node gets the mount; a job on both fetches each JAR once on each node."""
    cluster = scene.cluster
    cluster.kubectl("label", "node", "node-2", GUIDE_LABEL)
    for one in cluster.nodes.values():
        until(f"{one.name} has the mount", 120, lambda: serves(one))
    cold(cluster.nodes[1])
    scene.store.reset()
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"spark-role": "executor"}},
         "topologyKey": "kubernetes.io/hostname"}]}}
    cluster.kubectl("-n", NAMESPACE, "delete", "pods", "-l", "spark-role=executor")
    job(scene, "both", executor={"affinity": apart, "tolerations": [{"operator": "Exists"}]})
    pods = cluster.get("-n", NAMESPACE, "pods", "-l",
                       "spark-role=executor,sparkoperator.k8s.io/app-name=both")["items"]
    nodes = sorted(pod["spec"]["nodeName"] for pod in pods)
    expect(nodes == ["node-1", "node-2"], f"the executors ran on {nodes}")
    gets = len(fetched(scene))
    expect(gets == 2 * planned(jars()), f"{gets} GETs of JARs for two nodes")
    scene.facts["gets"] = gets
