"""SeaweedFS: an independent S3 server, in the lab's place for one pass."""

import subprocess
import urllib.request

from . import facts, tools
from .shell import Failure, until

PORT, FILER_PORT = 8333, 8888
KEYS = {"accessKey": "e2eaccess", "secretKey": "e2esecret"}


class Weed:
    """A running server on the bridge; it ends with the namespaces that it runs in."""

    def __init__(self):
        directory = facts.WORK / "weed"
        directory.mkdir()
        config = directory / "s3.json"
        config.write_text(
            '{"identities": [{"name": "e2e", "credentials": [{"accessKey": "%(accessKey)s", '
            '"secretKey": "%(secretKey)s"}], "actions": ["Admin"]}]}' % KEYS)
        command = [tools.WEED, "server", "-s3", f"-ip={facts.GATEWAY}",
                   f"-ip.bind={facts.GATEWAY}", f"-dir={directory}", f"-s3.config={config}",
                   f"-s3.port={PORT}", f"-filer.port={FILER_PORT}", "-master.telemetry=false",
                   "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=100",
                   "-master.volumeSizeLimitMB=512"]
        with open(facts.LOGS / "weed.log", "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.endpoint = f"http://{facts.GATEWAY}:{PORT}"
        until("SeaweedFS stores a file", 120, self.stores, every=0.5)

    def stores(self):
        """Whether a file can be put: it listens before it can store."""
        try:
            self.put("ready", "ready", b"ready")
            return True
        except OSError as error:
            raise Failure(f"SeaweedFS: {error}") from error

    def environment(self):
        """The variables that tell mount-s3 who asks, and where."""
        return {"AWS_ACCESS_KEY_ID": KEYS["accessKey"], "AWS_SECRET_ACCESS_KEY": KEYS["secretKey"],
                "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": self.endpoint}

    def put(self, bucket, key, content):
        """Stores an object by the file server behind its S3, which wants no signature."""
        request = urllib.request.Request(
            f"http://{facts.GATEWAY}:{FILER_PORT}/buckets/{bucket}/{key}", data=content,
            method="PUT", headers={"Content-Type": "application/octet-stream"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            answer.read()
