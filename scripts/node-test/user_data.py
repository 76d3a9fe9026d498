"""The user data of deploy/node, run as cloud-init runs it, and the policies beside it."""

import fnmatch
import hashlib
import json
import re
from pathlib import Path

from machine import Failure
from packages import MOUNTED, digest, expect, nothing_mounted, reads
from store import Store, Web, give

# As cloud-init's own unit does it: what a script leaves running goes on.
CLOUD_FINAL = """[Unit]
Description=User data
[Service]
Type=oneshot
ExecStart=/bin/bash /root/user-data.sh
RemainAfterExit=yes
KillMode=process
TasksMax=infinity
[Install]
WantedBy=multi-user.target
"""
# As on the EKS image: it starts the kubelet once user data has run.
NODEADM = """[Unit]
After=cloud-final.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'findmnt --mountpoint /mnt/s3 >/run/joined || echo without a mount >/run/joined'
[Install]
WantedBy=multi-user.target
"""
# Amazon Linux's tools, as far as the scripts call them. This Debian has nothing installed by rpm that
# the package could find its libraries in.
RPM = '#!/bin/sh\nexec /usr/bin/rpm --nodeps "$@"\n'
YUM = """#!/bin/sh
case "$*" in
*.rpm) for word; do package=$word; done && exec rpm --upgrade --replacepkgs "$package" ;;
*) echo "yum $*" >>/run/yum.log ;;
esac
"""
WGET = '#!/bin/sh\nexec curl --fail --silent --show-error --remote-name "$1"\n'
# The script of the data-on-eks guide with another address for the package: the same commands, options
# and paths.
GUIDE = """#!/bin/bash
set -e
yum update -y
yum install -y wget fuse
wget PACKAGE_URL
yum install -y ./mount-s3.rpm
mkdir -p /mnt/s3
/opt/aws/mountpoint-s3/bin/mount-s3 \\
  --metadata-ttl indefinite \\
  --allow-other \\
  --cache /tmp/mountpoint-cache \\
  my-spark-jars /mnt/s3
mount | grep /mnt/s3
"""


def write(machine, path, text, mode=0o644):
    target = machine.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)


def prepare(machine, store, script):
    """A machine whose next start runs the script as its user data."""
    give(machine, store)
    write(machine, "root/user-data.sh", script)
    write(machine, "etc/systemd/system/cloud-final.service", CLOUD_FINAL)
    write(machine, "etc/systemd/system/nodeadm-run.service", NODEADM)
    for name, text in (("rpm", RPM), ("yum", YUM), ("wget", WGET)):
        write(machine, f"usr/local/bin/{name}", text, 0o755)
    machine.ok("systemctl enable cloud-final.service nodeadm-run.service")


def script_of(tests, system, web, bucket="my-spark-jars"):
    """The user data with this test's package and bucket, and nothing else changed."""
    text = (tests.root / f"deploy/node/user-data/{system}.sh").read_text()
    kind = {"al2023": "rpm", "ubuntu": "deb"}[system]
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith("PACKAGE_URL="):
            lines[number] = f"PACKAGE_URL={web.address}/mount-s3.{kind}\n"
        if line.startswith("PACKAGE_SHA256="):
            package = Path(tests.packages) / f"mount-s3.{kind}"
            lines[number] = f"PACKAGE_SHA256={hashlib.sha256(package.read_bytes()).hexdigest()}\n"
        if line.startswith("BUCKET="):
            lines[number] = f"BUCKET={bucket}\n"
    return "".join(lines)


def mounts_before_the_node_joins(tests, system):
    with tests.machine() as machine, Store(tests.binary) as store, Web(tests.packages) as web:
        prepare(machine, store, script_of(tests, system, web))
        machine.start()
        said = machine.ok("journalctl --unit cloud-final")
        expect("and will be after a reboot" in said, said)
        expect(
            "fuse.mountpoint-s3" in machine.ok("cat /run/joined"),
            "the node joined before its mount",
        )
        reads(machine)
        # User data runs once in the life of a machine.
        machine.ok("systemctl disable cloud-final.service")
        machine.shut_down()
        machine.start()
        machine.ok(MOUNTED)
        reads(machine)
        # And by hand once more, with nothing changed.
        machine.ok("systemctl start cloud-final.service")
        reads(machine)


def al2023_mounts_before_the_node_joins_and_after_a_reboot(tests):
    mounts_before_the_node_joins(tests, "al2023")


def ubuntu_mounts_before_the_node_joins_and_after_a_reboot(tests):
    mounts_before_the_node_joins(tests, "ubuntu")


def a_node_without_its_mount_says_so_and_does_not_join(tests):
    for system in ("al2023", "ubuntu"):
        with tests.machine() as machine, Store(tests.binary) as store, Web(tests.packages) as web:
            prepare(machine, store, script_of(tests, system, web, "no-such-bucket"))
            machine.start()
            said = machine.ok("journalctl --unit cloud-final")
            expect("no-such-bucket is not mounted" in said and "fix:" in said, said)
            machine.fails("systemctl is-active --quiet cloud-final.service")
            machine.fails("test -e /run/joined")


def a_package_that_is_another_one_is_not_installed(tests):
    for system in ("al2023", "ubuntu"):
        with tests.machine() as machine, Store(tests.binary) as store, Web(tests.packages) as web:
            script = script_of(tests, system, web)
            prepare(machine, store, re.sub(r"(PACKAGE_SHA256=)\w+", r"\g<1>" + "0" * 64, script))
            machine.start()
            said = machine.ok("journalctl --unit cloud-final")
            expect("is not the package that PACKAGE_SHA256 is of" in said, said)
            machine.fails("command -v mount-s3")


def a_node_that_may_join_without_its_mount_does(tests):
    with tests.machine() as machine, Store(tests.binary) as store, Web(tests.packages) as web:
        script = script_of(tests, "al2023", web, "no-such-bucket")
        prepare(machine, store, script.replace("\nREQUIRED=yes\n", "\nREQUIRED=no\n"))
        machine.start()
        expect(machine.ok("cat /run/joined").strip() == "without a mount", "the node has a mount")


def the_guides_own_script_needs_only_another_address(tests):
    with tests.machine() as machine, Store(tests.binary) as store, Web(tests.packages) as web:
        script = GUIDE.replace("PACKAGE_URL", f"{web.address}/mount-s3.rpm")
        prepare(machine, store, script)
        machine.start()
        said = machine.ok("journalctl --unit cloud-final")
        expect("type fuse.mountpoint-s3 (rw,nosuid,nodev" in said, said)
        # The daemon outlives the script that started it.
        expect(machine.ok("systemctl is-active cloud-final.service").strip() == "active", said)
        reads(machine)
        expect("mount-s3" in machine.ok("ls /tmp/mountpoint-cache"), "the cache is elsewhere")
        machine.ok("mount-s3 umount /mnt/s3")
        nothing_mounted(machine)


ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
}


def allows(policy, action, resource, prefix):
    """Whether a policy allows a request, as far as the policies here go."""
    for statement in policy["Statement"]:
        condition = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", ["*"])
        if (
            action in statement["Action"]
            and any(fnmatch.fnmatchcase(resource, pattern) for pattern in statement["Resource"])
            and (
                action != "s3:ListBucket"
                or any(fnmatch.fnmatchcase(prefix, pattern) for pattern in condition)
            )
        ):
            return True
    return False


def what_a_mount_asks_is_what_the_policies_allow(tests):
    for policy, source, path in (
        ("read-bucket", "my-spark-jars", "jars/example.jar"),
        ("read-prefix", "s3://my-spark-jars/jars/", "example.jar"),
    ):
        rules = json.loads((tests.root / f"deploy/node/iam/{policy}.json").read_text())
        with tests.machine() as machine, Store(tests.binary) as store:
            tests.install(machine)
            give(machine, store)
            env = f"BUCKET={source}\nDIRECTORY=/mnt/s3\nARGS=--read-only --allow-other --cache /var/cache/mount-s3\n"
            write(machine, "etc/mount-s3/s3.env", env)
            machine.start()
            machine.ok("systemctl start mount-s3@s3")
            total = machine.ok(
                f"ls -lR /mnt/s3; test ! -e /mnt/s3/no-such-file; sha256sum </mnt/s3/{path}"
            )
            expect(digest() in total, "the bytes read are not those put")
            requests = store.log()
            expect(len(requests) >= 2, "the mount asked nothing")
            for request in requests:
                check_request(rules, policy, request)


def check_request(rules, policy, request):
    action = ACTIONS.get(request["operation"])
    resource = f"arn:aws:s3:::{request['bucket']}"
    if action == "s3:GetObject":
        resource += f"/{request['key']}"
    if action is None or not allows(rules, action, resource, request["key"]):
        raise Failure(
            f"{policy}.json does not allow {request['operation']} of {resource}, {request['key']!r}"
        )


CASES = [
    al2023_mounts_before_the_node_joins_and_after_a_reboot,
    ubuntu_mounts_before_the_node_joins_and_after_a_reboot,
    a_node_without_its_mount_says_so_and_does_not_join,
    a_package_that_is_another_one_is_not_installed,
    a_node_that_may_join_without_its_mount_does,
    the_guides_own_script_needs_only_another_address,
    what_a_mount_asks_is_what_the_policies_allow,
]
