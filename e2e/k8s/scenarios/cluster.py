"""The cluster itself: nodes, images, pods."""

from ..cluster import is_ready
from ..scenario import scenario
from ..shell import expect, until


@scenario()
def one_node(scene):
    """A node with its control plane is ready, and imports the small image."""
    node = scene.cluster.start(1)
    scene.cluster.load(node, "busybox")
    scene.cluster.namespace("default")


@scenario(one_node)
def a_pod_runs(scene):
    """A pod runs, finds a service by its name, and reaches the API server."""
    scene.cluster.pod("hello", "nslookup kubernetes.default.svc.cluster.local && "
                      "nc -w 5 kubernetes.default.svc.cluster.local 443 </dev/null && echo reached")
    printed = scene.cluster.finish("hello")
    expect("10.96.0.1" in printed and "reached" in printed, f"it printed {printed}")


@scenario(a_pod_runs)
def second_node(scene):
    """A second node becomes ready; a pod on it reaches a pod on the first."""
    node = scene.cluster.start(2)
    scene.cluster.load(node, "busybox")
    scene.cluster.pod("listener", "echo from the first node | nc -l -p 7000", nodeName="node-1",
                      container={"ports": [{"containerPort": 7000}]})
    until("the listener runs", 30, lambda: is_ready(scene.cluster.get("pod", "listener")))
    address = scene.cluster.get("pod", "listener")["status"]["podIP"]
    scene.cluster.pod("caller", f"nc -w 5 {address} 7000", nodeName="node-2")
    printed = scene.cluster.finish("caller")
    expect("from the first node" in printed, f"it printed {printed}")
