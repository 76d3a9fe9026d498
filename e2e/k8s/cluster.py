"""The cluster: its network, its nodes, and the programs that talk to it.

All of it runs inside the namespaces that the supervisor made; see supervisor.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from . import cgroups, components, facts, images
from .certificates import Authority
from .shell import Failure, output, run, until

NODES = (1, 2)


class Node:
    """One machine of the cluster."""

    def __init__(self, number, process):
        self.number = number
        self.name = f"node-{number}"
        self.process = process

    def pid(self):
        """Its first process, seen from here."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        if not children.split():
            raise Failure(f"{self.name} has no process: see {facts.LOGS / self.name}")
        return int(children.split()[0])

    def command(self, words):
        """The words that run a command there."""
        return ["nsenter", "--target", self.pid(), "--mount", "--uts", "--ipc", "--net", "--pid",
                "--", *words]

    def run(self, words, **options):
        """Runs a command there, as an administrator who logged in would."""
        return run(self.command(words), **options)

    def shell(self, script, **options):
        """What a shell script prints there."""
        return self.run(["bash", "-c", script], **options).stdout

    def stop(self):
        """Ends the machine at once, as a power cut would."""
        self.process.kill()
        self.process.wait()


class Cluster:
    """Nodes, and the clients of their API."""

    def __init__(self, archives):
        self.archives = archives
        self.nodes = {}
        self.authority = Authority(facts.WORK / "certificates")
        self.kubeconfig = self.authority.kubeconfig("admin", "/O=system:masters/CN=admin")
        self.authority.serving()
        for name, subject in {
                "manager": "/CN=system:kube-controller-manager",
                "scheduler": "/CN=system:kube-scheduler", "proxy": "/CN=system:kube-proxy"}.items():
            self.authority.kubeconfig(name, subject)
        self.environment = os.environ | {
            "KUBECONFIG": str(self.kubeconfig), "HOME": str(facts.WORK),
            "PATH": f"{facts.BINARIES}:{os.environ['PATH']}"}
        bridge()

    # Nodes

    def start(self, number):
        """Starts a node and waits until it is ready."""
        name = f"node-{number}"
        self.authority.kubeconfig(name, f"/O=system:nodes/CN=system:node:{name}")
        cgroups.make(name)
        work = facts.WORK / name
        logs = facts.LOGS / name
        for directory in (work, logs):
            directory.mkdir(parents=True, exist_ok=True)
        config = work / "config.json"
        config.write_text(json.dumps(self.described(number, work)))
        command = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork",
                   "--kill-child", "--propagation", "private",
                   sys.executable, "-m", "e2e.k8s.node", str(config)]
        with open(logs / "node.log", "ab") as log:
            process = subprocess.Popen(
                command, cwd=facts.REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        node = self.nodes[number] = Node(number, process)
        plug(node)
        until(f"{name} has set itself up", 120, (logs / "ready").exists)
        if number == 1:
            until("the API server is ready", 120, lambda: self.kubectl("get", "--raw", "/readyz"))
        until(f"{name} is ready", 120, lambda: self.ready(name))
        return node

    def described(self, number, work):
        programs = {}
        if number == 1:
            programs |= components.control_plane(self.authority)
        programs |= components.worker(number, self.authority)
        return {
            "name": f"node-{number}", "work": str(work), "interface": f"node{number}-inside",
            "address": facts.node_address(number),
            "neighbours": [(facts.node_address(other), facts.node_pods(other))
                           for other in NODES if other != number],
            "files": components.files(number, self.authority), "components": programs}

    def ready(self, name):
        """Whether the API server counts the node among those that take pods."""
        path = "{.status.conditions[?(@.type=='Ready')].status}"
        return self.kubectl("get", "node", name, "-o", f"jsonpath={path}").strip() == "True"

    def stop(self):
        """Ends all nodes."""
        for node in self.nodes.values():
            node.stop()

    # Clients

    def kubectl(self, *words, seconds=60, **options):
        """What kubectl prints."""
        return output([facts.BINARIES / "kubectl", *words], seconds=seconds,
                      env=self.environment, **options)

    def helm(self, *words, seconds=180):
        """What helm prints."""
        return output([facts.BINARIES / "helm", *words], seconds=seconds, env=self.environment)

    def load(self, node, archive):
        """Imports an image archive into the node's store."""
        node.run(["ctr", "-n", "k8s.io", "images", "import", self.archives[archive]], seconds=180)

    def apply(self, *manifests):
        """Applies manifests: paths, texts, or values."""
        for manifest in manifests:
            if isinstance(manifest, Path):
                manifest = manifest.read_text()
            text = manifest if isinstance(manifest, str) else json.dumps(manifest)
            self.kubectl("apply", "-f", "-", input=text)

    def read(self, manifest):
        """The objects of a manifest's file, as values."""
        text = self.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json",
                            "-f", manifest)
        decoder, objects, at = json.JSONDecoder(), [], 0
        while text[at:].strip():
            value, length = decoder.raw_decode(text[at:].lstrip())
            at = len(text) - len(text[at:].lstrip()) + length
            objects += value["items"] if value["kind"] == "List" else [value]
        return objects

    def get(self, *words):
        """An object of the API as a value."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def namespace(self, name):
        """A namespace that pods can be made in: it has its service account."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        until(f"namespace {name} has a service account", 120,
              lambda: self.kubectl("-n", name, "get", "serviceaccount", "default"))

    # Pods

    def pod(self, name, script, namespace="default", **spec):
        """Makes a pod of busybox that runs a shell script. `container` is merged into its own."""
        container = {"name": "main", "image": images.BUSYBOX, "imagePullPolicy": "Never",
                     "command": ["sh", "-c", script]} | spec.pop("container", {})
        self.apply({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                     "containers": [container]} | spec})

    def finish(self, name, namespace="default", seconds=60):
        """Waits until a pod has ended; what it printed. A pod that failed is a failure."""
        def ended():
            phase = self.get("-n", namespace, "pod", name)["status"]["phase"]
            return phase if phase in ("Succeeded", "Failed") else None

        phase = until(f"pod {name} has ended", seconds, ended)
        printed = self.logs(name, namespace)
        if phase == "Failed":
            raise Failure(f"pod {name} failed; it printed:\n{printed}")
        return printed

    def logs(self, name, namespace="default", *words):
        """What a pod printed."""
        return self.kubectl("-n", namespace, "logs", name, *words)

    def running(self, selector, namespace, seconds=60):
        """Waits until the pods of a label are ready; their names."""
        def names():
            items = self.get("-n", namespace, "pods", "-l", selector)["items"]
            ready = [item["metadata"]["name"] for item in items
                     if "deletionTimestamp" not in item["metadata"] and is_ready(item)]
            return ready if items and len(ready) == len(items) else None

        return until(f"the pods {selector} are ready", seconds, names)


def is_ready(pod):
    """Whether the pod's condition says so."""
    return any(condition["type"] == "Ready" and condition["status"] == "True"
               for condition in pod["status"].get("conditions", []))


def bridge():
    """The network between the nodes, and towards their pods."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for command in ("link set lo up", "link add nodes type bridge", "link set nodes up",
                    f"addr add {facts.GATEWAY}/24 dev nodes"):
        run(["ip", *command.split()])
    for number in NODES:
        run(["ip", "route", "add", facts.node_pods(number), "via", facts.node_address(number)])


def plug(node):
    """A cable from the bridge to the node."""
    outside = f"node{node.number}"
    ours = os.readlink("/proc/self/ns/net")
    until("the node has a network of its own", 120,
          lambda: os.readlink(f"/proc/{node.process.pid}/ns/net") != ours, every=0.02)
    # A node that was stopped a moment ago may still hold the other end.
    run(["ip", "link", "delete", outside], check=False)
    run(["ip", "link", "add", outside, "type", "veth", "peer", "name", f"{outside}-inside"])
    run(["ip", "link", "set", outside, "master", "nodes", "up"])
    run(["ip", "link", "set", f"{outside}-inside", "netns", node.process.pid])
