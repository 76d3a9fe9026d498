"""OCI archives of one layer, as `ctr images import` takes them."""

import hashlib
import io
import json
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
BLOCK_BYTES = 1 << 20


def write(archive, layer, names, settings):
    """Writes `archive` from the tar `layer`; each of `names` will be a name of the image."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    layer_digest = digest_of(layer)
    config = encoded({
        "architecture": "amd64", "os": "linux", "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]}})
    manifest = encoded({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": described(config, CONFIG),
        "layers": [{"mediaType": LAYER, "digest": layer_digest, "size": layer.stat().st_size}]})
    index = encoded({"schemaVersion": 2, "manifests": [
        described(manifest, MANIFEST) | {"annotations": {"io.containerd.image.name": name}}
        for name in names]})
    part = archive.with_suffix(".part")
    with tarfile.open(part, "w") as tar:
        add(tar, "oci-layout", encoded({"imageLayoutVersion": "1.0.0"}))
        add(tar, "index.json", index)
        for blob in (config, manifest):
            add(tar, "blobs/sha256/" + hashlib.sha256(blob).hexdigest(), blob)
        tar.add(layer, "blobs/" + layer_digest.replace(":", "/"))
    part.rename(archive)


def encoded(value):
    return json.dumps(value).encode()


def described(blob, kind):
    return {"mediaType": kind, "digest": "sha256:" + hashlib.sha256(blob).hexdigest(),
            "size": len(blob)}


def add(tar, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def digest_of(file):
    digest = hashlib.sha256()
    with open(file, "rb") as data:
        while piece := data.read(BLOCK_BYTES):
            digest.update(piece)
    return "sha256:" + digest.hexdigest()
