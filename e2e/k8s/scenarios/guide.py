"""The data-on-eks guide's own way: a script on the node mounts, and Spark reads JARs from there."""

import hashlib
import math
import re

from .. import facts, tools
from ..scenario import scenario
from ..shell import Failure, expect, until
from .spark import NAMESPACE, finished, operator

DEPLOY = facts.REPOSITORY / "deploy"
BUCKET = "my-spark-jars"
MOUNT = "/mnt/s3"
PART_BYTES = 8 << 20
INTERVAL_SECONDS = 3
LINES = 20_000
OTHER = "other/content.bin"
# How a pod sees what is mounted on its node: the directory above the mounts.
MOUNTS = {"volumes": [{"name": "mounts", "hostPath": {"path": "/mnt", "type": "Directory"}}]}
SEEN = {"volumeMounts": [{"name": "mounts", "mountPath": "/mnt",
                          "mountPropagation": "HostToContainer"}]}


def jars():
    """The two JARs of the guide, in versions that go with this Spark."""
    return sorted(tools.CONNECTOR.glob("*.jar"))


def fill(store):
    """Puts what the guide's jobs read into the buckets."""
    for jar in jars():
        store.put(BUCKET, f"jars/{jar.name}", jar)
    store.put(BUCKET, "jobs/spark-job.py", facts.REPOSITORY / "scripts/spark-job.py")
    text = facts.WORK / "lines.txt"
    text.write_text("".join(f"line {number}\n" for number in range(LINES)))
    store.put("data", "lines.txt", text)
    fill_other(store)


def fill_other(store):
    """Puts an object that no job reads; its content."""
    content = bytes(index * 7 % 251 for index in range(1 << 20))
    store.put_bytes(BUCKET, OTHER, content)
    return content


def daemonset(cluster, name="mountpoint-s3", **environment):
    """The guide's manifest with other values of its variables, and under another name."""
    objects = cluster.read(DEPLOY / "guide/mountpoint-s3-daemonset.yaml")
    daemonset = objects[-1]
    daemonset["metadata"]["name"] = name
    daemonset["spec"]["selector"]["matchLabels"]["app"] = name
    daemonset["spec"]["template"]["metadata"]["labels"]["app"] = name
    container = daemonset["spec"]["template"]["spec"]["containers"][0]
    environment = {"CHECK_INTERVAL_SECONDS": str(INTERVAL_SECONDS)} | environment
    for variable in container["env"]:
        variable["value"] = environment.pop(variable["name"], variable["value"])
    expect(not environment, f"the manifest has no variable {', '.join(environment)}")
    return objects


def mount_of(node, directory=MOUNT):
    """The line of the mount table that the guide greps for, or nothing."""
    return node.shell(f"mount | grep {directory} || true").strip()


@scenario(operator)
def guide_daemonset(scene):
    """The guide's DaemonSet mounts the bucket on the node, and its verification steps hold."""
    cluster = scene.cluster
    node = cluster.nodes[1]
    fill(scene.store)
    cluster.load(node, "mount-s3")
    cluster.apply({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "mountpoint-s3", "namespace": NAMESPACE},
        "stringData": scene.store.environment()})
    cluster.apply(*daemonset(cluster))
    cluster.running("app=mountpoint-s3", NAMESPACE)
    line = until("the bucket is mounted", 120, lambda: mount_of(node))
    expect(re.search(r" /mnt/s3 type fuse\.mountpoint-s3 \(ro,nosuid,nodev,.*user_id=0,"
                     r"group_id=0.*allow_other", line), f"mount says {line}")
    said = node.shell("mount-s3 --version").strip()
    expect(said.startswith("mount-s3 ") and facts.version() in said, f"--version says {said}")
    scene.facts |= {"mount": line, "version": said}


@scenario(guide_daemonset)
def guide_plain_pod(scene):
    """A pod of another namespace, as uid 1000, reads the bytes that were put."""
    cluster = scene.cluster
    content = fill_other(scene.store)
    cluster.namespace("elsewhere")
    cluster.pod("reader", f"id -u; sha256sum {MOUNT}/{OTHER}", "elsewhere",
                container=SEEN, securityContext={"runAsUser": 1000}, **MOUNTS)
    printed = cluster.finish("reader", "elsewhere").split()
    expect(printed[:2] == ["1000", hashlib.sha256(content).hexdigest()], f"it printed {printed}")


def job(scene, name, manifest="spark-with-mountpoint", conf=None, executor=None):
    """Runs a SparkApplication of ours, made to use a class of a mounted JAR on S3's text."""
    store = scene.store
    (value,) = scene.cluster.read(DEPLOY / f"spark/{manifest}.yaml")
    value["metadata"]["name"] = name
    spec = value["spec"]
    spec["mainApplicationFile"] = f"local://{MOUNT}/jobs/spark-job.py"
    # The connector comes from a mounted JAR; the driver says which, and what it found.
    spec["arguments"] = ["/dev/stdout", "s3a://data/lines.txt"]
    spec["sparkConf"].pop("spark.hadoop.fs.s3a.aws.credentials.provider")
    spec["sparkConf"] |= {
        "spark.hadoop.fs.s3a.endpoint": store.endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": store.environment()["AWS_REGION"],
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.access.key": store.environment()["AWS_ACCESS_KEY_ID"],
        "spark.hadoop.fs.s3a.secret.key": store.environment()["AWS_SECRET_ACCESS_KEY"],
        "spark.sql.files.openCostInBytes": "1", "spark.sql.files.minPartitionNum": "8",
        # Their logs are what this is about.
        "spark.kubernetes.executor.deleteOnTermination": "false"} | (conf or {})
    for role in ("driver", "executor"):
        # Two processors are all that the node has.
        spec[role]["coreRequest"] = "100m"
    spec["executor"] |= executor or {}
    scene.cluster.apply(value)
    finished(scene.cluster, name)


def executor_logs(cluster, name):
    """What the executors of a job wrote, by pod."""
    pods = cluster.get("-n", NAMESPACE, "pods", "-l",
                       f"spark-role=executor,sparkoperator.k8s.io/app-name={name}")["items"]
    names = [pod["metadata"]["name"] for pod in pods]
    return {pod: cluster.logs(pod, NAMESPACE) for pod in names}


def guide_lines(log, jar):
    """The three lines that the guide shows of one JAR."""
    patterns = [rf"INFO Executor: Fetching file:{MOUNT}/jars/{re.escape(jar)}",
                rf"INFO Utils: Copying {MOUNT}/jars/{re.escape(jar)} to /",
                rf"INFO Executor: Adding file:/\S*/{re.escape(jar)} to class loader"]
    lines = []
    for pattern in patterns:
        lines += [line for line in log.splitlines() if re.search(pattern, line)][:1]
    return lines


def planned(files):
    """GETs that a first reading takes: one for each part."""
    return sum(math.ceil(file.stat().st_size / PART_BYTES) for file in files)


@scenario(guide_daemonset)
def guide_first_job(scene):
    """The guide's job uses a mounted JAR; S3 is asked by plan; executors log the three lines."""
    scene.store.reset()
    job(scene, "first")
    measure(scene, "first", gets=planned(jars()))
    expect(scene.facts["bytes"] == sum(jar.stat().st_size for jar in jars()),
           f"{scene.facts['bytes']} bytes were fetched")


@scenario(guide_first_job)
def guide_later_jobs(scene):
    """The second and the third job ask S3 for no byte of the JARs."""
    found = []
    for name in ("second", "third"):
        scene.store.reset()
        job(scene, name)
        measure(scene, name, gets=0)
        found.append(dict(scene.facts))
    scene.facts.clear()
    scene.facts |= {"second": found[0], "third": found[1]}


def measure(scene, name, gets):
    """Checks a job that has ended: its answer, its executors' lines, its requests."""
    cluster = scene.cluster
    requests = [line for line in scene.store.requests() if line["bucket"] == BUCKET]
    fetched = [line for line in requests if line["operation"] == "GetObject"
               and line["key"].startswith("jars/")]
    driver = cluster.logs(f"{name}-driver", NAMESPACE)
    expect(f'"found": [{LINES}, ' in driver, f"the job found something else:\n{driver[-2000:]}")
    expect(f'"class_from": "{MOUNT}/jars/hadoop-aws' in driver,
           f"the class came from elsewhere:\n{driver[-2000:]}")
    logs = executor_logs(cluster, name)
    expect(len(logs) == 2, f"the executors are {list(logs)}")
    for pod, log in logs.items():
        for jar in jars():
            lines = guide_lines(log, jar.name)
            expect(len(lines) == 3, f"{pod} wrote of {jar.name} only {lines}")
    scene.facts |= {
        "gets": len(fetched), "bytes": sum(line["bytes_out"] for line in fetched),
        "other requests": sorted(line["operation"] for line in requests if line not in fetched),
        "an executor": guide_lines(log, jars()[-1].name), "executors": list(logs)}
    expect(len(fetched) == gets, f"{len(fetched)} GETs of JARs, not {gets}: "
           + ", ".join(f"{line['key']} {line['range']}" for line in fetched[:5]))


@scenario(guide_first_job)
def guide_cache(scene):
    """`ls -lh` and `du -sh` of the cache show the JARs, as the guide's last steps do."""
    node = scene.cluster.nodes[1]
    size = int(node.shell("du -s --block-size=1 /tmp/mountpoint-cache").split()[0])
    expect(size >= sum(jar.stat().st_size for jar in jars()), f"the cache takes {size} bytes")
    scene.facts |= {"ls": node.shell("ls -lh /tmp/mountpoint-cache/").splitlines(),
                    "du": node.shell("du -sh /tmp/mountpoint-cache/").strip()}


@scenario(guide_plain_pod)
def guide_mount_killed(scene):
    """`kill -9` of the mount is healed within the interval, and a running pod reads on."""
    cluster = scene.cluster
    node = cluster.nodes[1]
    reader = watcher(cluster, "healed")
    killed = node.shell("pkill -KILL -x mount-s3 -c || true").strip()
    expect(int(killed) > 0, "there was no process of the mount")
    until("the mount is dead", 5, lambda: not serves(node), every=0.05)
    scene.facts["healed after s"] = healed_after(node, INTERVAL_SECONDS + 10)
    # The deadline of the check and the mounting itself come on top of the interval.
    expect(scene.facts["healed after s"] < INTERVAL_SECONDS + 6, f"it took {scene.facts}")
    after = len(watched(cluster, reader))
    until("the running pod reads again", 10,
          lambda: "ok" in watched(cluster, reader)[after:])
    scene.facts["failed reads"] = watched(cluster, reader).count("failed")


@scenario(guide_plain_pod)
def guide_pod_deleted(scene):
    """The DaemonSet's pod is deleted and rolled under a reader, and no read fails."""
    cluster = scene.cluster
    node = cluster.nodes[1]
    reader = watcher(cluster, "undisturbed")
    before = node.shell("pgrep -x mount-s3").split()
    expect(before, "there is no process of the mount")
    (old,) = cluster.running("app=mountpoint-s3", NAMESPACE)
    cluster.kubectl("-n", NAMESPACE, "delete", "pod", old)
    until("another pod has taken its place", 60,
          lambda: cluster.running("app=mountpoint-s3", NAMESPACE) != [old])
    cluster.kubectl("-n", NAMESPACE, "rollout", "restart", "daemonset/mountpoint-s3")
    cluster.kubectl("-n", NAMESPACE, "rollout", "status", "daemonset/mountpoint-s3",
                    "--timeout=60s", seconds=70)
    expect(serves(node), "the mount does not serve")
    expect(node.shell("pgrep -x mount-s3").split() == before,
           "the mount is served by other processes than before")
    reads = watched(cluster, reader)
    expect("failed" not in reads, f"reads failed: {reads}")
    scene.facts["reads"] = len(reads)


def serves(node):
    """Whether the mount answers, seen from the node."""
    return node.run(["timeout", "--signal", "KILL", "2", "cat", f"{MOUNT}/{OTHER}"],
                    check=False).returncode == 0


def healed_after(node, seconds):
    """Waits until a mount serves that does not now; after how many seconds it does."""
    begun = node_seconds(node)
    until("the mount serves again", seconds, lambda: serves(node))
    return round(node_seconds(node) - begun, 1)


def node_seconds(node):
    """The clock of the node."""
    return float(node.shell("cat /proc/uptime").split()[0])


def watcher(cluster, name):
    """A pod that reads the mount again and again, and says how it went each time."""
    cluster.pod(name, "while true; do if timeout 2 cat "
                f"{MOUNT}/{OTHER} >/dev/null; then echo ok; else echo failed; fi; "
                "sleep 0.2; done", "elsewhere", container=SEEN, **MOUNTS)
    until("the pod has read", 120, lambda: "ok" in watched(cluster, name))
    return name


def watched(cluster, name):
    """What the pod said so far."""
    try:
        return [line for line in cluster.logs(name, "elsewhere").split() if line in ("ok", "failed")]
    except Failure:
        return []
