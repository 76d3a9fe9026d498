"""The cluster itself: nodes, images, pods."""

from ..scenario import scenario
from ..shell import expect


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
