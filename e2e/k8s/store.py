"""The S3 of the cluster."""

import json
import os
import subprocess
import urllib.request

from . import facts
from .shell import Failure

REGION = "us-east-1"
BUCKETS = ("my-spark-jars", "ml-models", "prod-jars", "dev-jars", "data")


class Lab:
    """The embedded S3 server, on the bridge: it counts every request."""

    def __init__(self):
        facts.LOGS.mkdir(parents=True, exist_ok=True)
        command = [facts.mount_s3(), "lab", "--memory", "--region", REGION,
                   "--listen", f"{facts.GATEWAY}:9000", "--control", f"{facts.GATEWAY}:9001"]
        for bucket in BUCKETS:
            command += ["--bucket", bucket]
        with open(facts.LOGS / "lab.log", "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        first = self.process.stdout.readline()
        if not first:
            said = (facts.LOGS / "lab.log").read_text()
            raise Failure(f"the S3 server did not start: {said}")
        self.facts = json.loads(first)
        self.endpoint = self.facts["endpoint"]

    def environment(self):
        """The variables that tell mount-s3 who asks, and where."""
        return {"AWS_ACCESS_KEY_ID": self.facts["access_key"],
                "AWS_SECRET_ACCESS_KEY": self.facts["secret_key"],
                "AWS_REGION": REGION, "AWS_ENDPOINT_URL": self.endpoint}

    def control(self, method, path, body=None, headers=None):
        """Asks the control endpoint."""
        request = urllib.request.Request(
            self.facts["control"] + path, data=body, method=method, headers=headers or {})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def put(self, bucket, key, file):
        """Stores a file."""
        length = {"Content-Length": str(os.path.getsize(file))}
        with open(file, "rb") as body:
            self.control("PUT", f"/objects/{bucket}/{key}", body, length)

    def put_bytes(self, bucket, key, content):
        """Stores what is in memory."""
        self.control("PUT", f"/objects/{bucket}/{key}", content)

    def reset(self):
        """Forgets all requests."""
        self.control("POST", "/reset")

    def requests(self):
        """The requests since the reset, in order."""
        return json.loads(self.control("GET", "/log"))

    def gets(self, prefix=""):
        """The GetObjects of keys that begin so, since the reset."""
        return [line for line in self.requests()
                if line["operation"] == "GetObject" and (line["key"] or "").startswith(prefix)]
