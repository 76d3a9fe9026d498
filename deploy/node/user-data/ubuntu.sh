#!/bin/bash
# User data for Ubuntu (22.04 or later), with or without EKS: installs mount-s3 and mounts a bucket now
# and after every reboot. Ends with an error, and says why in /var/log/cloud-init-output.log, when
# the bucket is not mounted in the end. It may be run again: the mount is then started anew.
set -euo pipefail

# Where mount-s3.deb is: https://… or s3://BUCKET/KEY (then aws must be installed, and the node's role allowed to read it).
PACKAGE_URL=https://packages.example.com/mount-s3.deb
# What sha256sum says of it: nothing else is installed. Empty: whatever is there is installed.
PACKAGE_SHA256=
# A bucket, or s3://BUCKET/PREFIX/ for a part of it, and where it appears.
BUCKET=my-spark-jars
DIRECTORY=/mnt/s3
# Not below /tmp, which is emptied at every boot.
CACHE=/var/cache/mount-s3
ARGS="--read-only --allow-other --metadata-ttl indefinite --cache $CACHE --max-cache-size 10GiB"
# yes: a node of EKS that has no mount does not join its cluster, so that no pod finds an empty
# directory. Karpenter and node groups replace such a node.
REQUIRED=yes

NAME=s3
UNIT=mount-s3@$NAME.service

fail() {
    echo "mount-s3: $*" >&2
    systemctl --no-pager status "$UNIT" >&2 || true
    journalctl --no-pager --lines 30 --unit "$UNIT" >&2 || true
    if [ "$REQUIRED" = yes ] && systemctl cat nodeadm-run.service >/dev/null 2>&1; then
        # It starts the kubelet, and waits until user data has run.
        systemctl mask --runtime --now nodeadm-run.service || true
        echo 'mount-s3: this node does not join the cluster (REQUIRED=yes)' >&2
    fi
    exit 1
}

download() {
    case $PACKAGE_URL in
    s3://*)
        command -v aws >/dev/null || fail "s3:// needs the aws command; use an https:// URL instead"
        aws s3 cp --only-show-errors "$PACKAGE_URL" "$1"
        ;;
    *) curl --fail --silent --show-error --location --max-time 300 --output "$1" "$PACKAGE_URL" ;;
    esac
}

scratch=$(mktemp -d)
# apt reads it as a user of its own.
chmod 0755 "$scratch"
trap 'rm -rf "$scratch"' EXIT
# The network of a node is not always there from the first second.
for attempt in 1 2 3 4 5; do
    download "$scratch/mount-s3.deb" && break
    [ "$attempt" != 5 ] || fail "$PACKAGE_URL cannot be downloaded"
    sleep $((attempt * 3))
done
if [ -n "$PACKAGE_SHA256" ]; then
    echo "$PACKAGE_SHA256  $scratch/mount-s3.deb" | sha256sum --check --quiet >&2 ||
        fail "$PACKAGE_URL is not the package that PACKAGE_SHA256 is of"
fi
# A local file needs no repository. At first boot unattended-upgrades may hold the lock for a while.
DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install --yes \
    --no-install-recommends --allow-downgrades "$scratch/mount-s3.deb" ||
    fail 'the package cannot be installed'

install -d -m 0700 "$CACHE"
install -d -m 0755 /etc/mount-s3
cat >"/etc/mount-s3/$NAME.env" <<END
BUCKET=$BUCKET
DIRECTORY=$DIRECTORY
ARGS=$ARGS
END
systemctl enable "$UNIT"
# Returns when the mount serves.
systemctl restart "$UNIT" || fail "$BUCKET is not mounted"

findmnt --mountpoint "$DIRECTORY" --types fuse.mountpoint-s3 ||
    fail "$DIRECTORY is no mount of mount-s3"
timeout 30 ls "$DIRECTORY" >/dev/null || fail "$DIRECTORY cannot be listed"
echo "mount-s3: $BUCKET is mounted at $DIRECTORY and will be after a reboot"
