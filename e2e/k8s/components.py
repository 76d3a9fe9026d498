"""What runs on a node: the programs, their words, their files."""

import json

from . import facts

CONTAINERD = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""

DNS = """\
.:53 {{
    bind {address}
    errors
    cache 5
    kubernetes cluster.local {{
        kubeconfig {kubeconfig} e2e
    }}
}}
"""


def files(number, authority):
    """The files of a node: path to text. JSON is YAML."""
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                           "x509": {"clientCAFile": str(authority.path("ca.crt"))}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{facts.CGROUP}/node-{number}",
        "clusterDNS": [facts.node_address(1)], "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "evictionHard": {},
        "failSwapOn": False, "imageGCHighThresholdPercent": 100,
        "oomScoreAdj": 0, "resolvConf": "/run/resolv.conf",
        "syncFrequency": "10s", "volumeStatsAggPeriod": "0s",
    }
    proxy = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "mode": "iptables", "clusterCIDR": facts.PODS, "hostnameOverride": f"node-{number}",
        "clientConnection": {"kubeconfig": str(authority.path("proxy.kubeconfig"))},
        # The machine's own values are left as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s",
                      "tcpCloseWaitTimeout": "0s"},
    }
    bridge = {
        "cniVersion": "0.4.0", "name": "pods", "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True,
             "ipam": {"type": "host-local", "dataDir": "/run/cni",
                      "ranges": [[{"subnet": facts.node_pods(number)}]],
                      "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}}]}
    return {
        "/etc/containerd/config.toml": CONTAINERD,
        "/etc/cni/net.d/10-pods.conflist": json.dumps(bridge),
        "/etc/kubernetes/kubelet.json": json.dumps(kubelet),
        "/etc/kubernetes/proxy.json": json.dumps(proxy),
        "/etc/kubernetes/Corefile": DNS.format(
            address=facts.node_address(1), kubeconfig=authority.path("admin.kubeconfig")),
        "/run/resolv.conf": "",
    }


def worker(number, authority):
    """What every node runs."""
    return {
        "containerd": ["containerd", "--config", "/etc/containerd/config.toml"],
        "kubelet": [binary("kubelet"), "--config=/etc/kubernetes/kubelet.json",
                    f"--kubeconfig={authority.path(f'node-{number}.kubeconfig')}",
                    f"--hostname-override=node-{number}",
                    f"--node-ip={facts.node_address(number)}"],
        "kube-proxy": [binary("kube-proxy"), "--config=/etc/kubernetes/proxy.json"],
    }


def control_plane(authority):
    """What the first node runs besides."""
    path = authority.path
    manager = path("manager.kubeconfig")
    scheduler = path("scheduler.kubeconfig")
    return {
        "etcd": ["etcd", "--data-dir=/run/etcd", "--unsafe-no-fsync",
                 "--listen-client-urls=http://127.0.0.1:2379",
                 "--advertise-client-urls=http://127.0.0.1:2379",
                 "--listen-peer-urls=http://127.0.0.1:2380"],
        "kube-apiserver": [
            binary("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={facts.node_address(1)}",
            f"--service-cluster-ip-range={facts.SERVICES}", "--allow-privileged=true",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            "--kubelet-preferred-address-types=InternalIP",
            f"--client-ca-file={path('ca.crt')}",
            f"--tls-cert-file={path('apiserver.crt')}",
            f"--tls-private-key-file={path('apiserver.key')}",
            f"--kubelet-client-certificate={path('admin.crt')}",
            f"--kubelet-client-key={path('admin.key')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={path('accounts.pub')}",
            f"--service-account-signing-key-file={path('accounts.key')}"],
        "kube-controller-manager": [
            binary("kube-controller-manager"), f"--kubeconfig={manager}",
            f"--authentication-kubeconfig={manager}", f"--authorization-kubeconfig={manager}",
            "--leader-elect=false", "--use-service-account-credentials",
            f"--root-ca-file={path('ca.crt')}",
            f"--service-account-private-key-file={path('accounts.key')}"],
        "kube-scheduler": [
            binary("kube-scheduler"), f"--kubeconfig={scheduler}",
            f"--authentication-kubeconfig={scheduler}", f"--authorization-kubeconfig={scheduler}",
            "--leader-elect=false"],
        "coredns": [binary("coredns"), "-conf", "/etc/kubernetes/Corefile"],
    }


def binary(name):
    return str(facts.BINARIES / name)
