"""The Spark operator, and a job of Spark's own."""

import json

from .. import facts, images
from ..scenario import scenario
from ..shell import Failure, expect, until
from .cluster import one_node

NAMESPACE = "spark-team-a"
# What the manifests under deploy/spark call the image and the nodes.
GUIDE_LABEL = "NodeGroupType=SparkComputeOptimized"
JOB_SECONDS = 180


@scenario(one_node)
def operator(scene):
    """The Spark operator is installed by its own chart, with its webhooks."""
    cluster = scene.cluster
    cluster.load(cluster.nodes[1], "spark")
    cluster.kubectl("label", "node", "node-1", GUIDE_LABEL)
    cluster.namespace(NAMESPACE)
    registry, repository = images.SPARK.split("/")
    repository, tag = repository.split(":")
    values = {
        "image": {"registry": registry, "repository": repository, "tag": tag,
                  "pullPolicy": "Never"},
        "controller": {"leaderElection": {"enable": False}},
        "webhook": {"leaderElection": {"enable": False}},
        "spark": {"jobNamespaces": [NAMESPACE], "serviceAccount": {"name": NAMESPACE}}}
    file = facts.WORK / "operator-values.json"
    file.write_text(json.dumps(values))
    cluster.helm("install", "spark-operator", facts.CACHE / "spark-operator-chart",
                 "--namespace", "spark-operator", "--create-namespace", "--values", file,
                 "--wait", "--timeout", "120s")


@scenario(operator)
def spark_pi(scene):
    """A SparkApplication in cluster mode, with a driver and two executors, completes."""
    cluster = scene.cluster
    executor = {"instances": 2, "cores": 1, "coreRequest": "100m", "memory": "512m"}
    cluster.apply({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": "pi", "namespace": NAMESPACE},
        "spec": {
            "type": "Python", "mode": "cluster", "sparkVersion": facts.SPARK,
            "image": images.SPARK, "imagePullPolicy": "Never",
            "mainApplicationFile": "local:///opt/spark/examples/src/main/python/pi.py",
            "restartPolicy": {"type": "Never"},
            "driver": {"cores": 1, "coreRequest": "100m", "memory": "512m",
                       "serviceAccount": NAMESPACE},
            "executor": executor}})
    finished(cluster, "pi")
    printed = cluster.logs("pi-driver", NAMESPACE)
    expect("Pi is roughly 3.1" in printed, f"the driver printed no pi:\n{printed[-2000:]}")
    cluster.kubectl("-n", NAMESPACE, "delete", "sparkapplication", "pi")


def finished(cluster, name, seconds=JOB_SECONDS):
    """Waits until a job has completed; a job that failed is a failure with its driver's words."""
    def state():
        status = cluster.get("-n", NAMESPACE, "sparkapplication", name).get("status", {})
        found = status.get("applicationState", {}).get("state")
        return found if found in ("COMPLETED", "FAILED", "SUBMISSION_FAILED") else None

    ended = until(f"the job {name} has ended", seconds, state, every=0.5)
    if ended != "COMPLETED":
        status = cluster.get("-n", NAMESPACE, "sparkapplication", name)["status"]
        try:
            printed = cluster.logs(f"{name}-driver", NAMESPACE)[-3000:]
        except Failure as failure:
            printed = str(failure)
        raise Failure(f"the job {name} is {ended}: {status['applicationState']}\n{printed}")
