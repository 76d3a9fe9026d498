"""What is pinned, and where things are."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target").resolve()
# Everything that is built or downloaded. A fresh clone may be pointed at another one's.
CACHE = Path(os.environ.get("E2E_CACHE") or TARGET / "e2e").resolve()
BINARIES = CACHE / "bin"
IMAGES = CACHE / "images"
# What one run leaves to be read, and what it needs while it lasts.
LOGS = TARGET / "e2e" / "logs"
WORK = TARGET / "e2e" / "run"

KUBERNETES = "v1.34.4"
SPARK_OPERATOR = "v2.4.0"
HELM = "v3.18.5"
SPARK = "3.5.3"

CGROUP = "mount-s3-e2e"
# A network of its own: it is not routed anywhere, so the addresses cannot be in the way of others.
GATEWAY = "10.99.0.1"
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
PODS = "10.244.0.0/16"


def node_address(number):
    """The address of a node on the bridge."""
    return f"10.99.0.{10 + number}"


def node_pods(number):
    """The network of a node's pods."""
    return f"10.244.{number}.0/24"


def mount_s3():
    """The binary under test."""
    return Path(os.environ.get("MOUNT_S3") or TARGET / "release" / "mount-s3").resolve()


def version():
    """The version of the workspace, which its image carries as a tag."""
    for line in (REPOSITORY / "Cargo.toml").read_text().splitlines():
        if line.startswith("version = "):
            return line.split('"')[1]
    raise ValueError("Cargo.toml of the workspace names no version")
