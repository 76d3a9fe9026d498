"""The S3 of these tests, and a web server for the packages."""

import json
import random
import subprocess
import threading
import urllib.request
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

CONTENT = random.Random(7).randbytes(3_000_000)


class Store:
    """The lab, with one object in the bucket `my-spark-jars`."""

    BUCKET = "my-spark-jars"
    KEY = "jars/example.jar"

    def __init__(self, binary):
        self.binary = binary

    def __enter__(self):
        words = [self.binary, "lab", "--memory", "--bucket", self.BUCKET]
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.facts = json.loads(self.process.stdout.readline())
        self.control("PUT", f"/objects/{self.BUCKET}/{self.KEY}", CONTENT)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=30)

    def control(self, method, path, body=None):
        request = urllib.request.Request(self.facts["control"] + path, data=body, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def log(self):
        """The requests so far, in order."""
        return json.loads(self.control("GET", "/log"))

    def environment(self):
        """What a mount has to know, which on AWS it finds by itself."""
        return {
            "AWS_ACCESS_KEY_ID": self.facts["access_key"],
            "AWS_SECRET_ACCESS_KEY": self.facts["secret_key"],
            "AWS_REGION": self.facts["region"],
            "AWS_ENDPOINT_URL_S3": self.facts["endpoint"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Web:
    """Serves a directory at `address`."""

    def __init__(self, directory):
        handler = partial(Quiet, directory=directory)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def give(machine, store):
    """Lets every mount that systemd starts on the machine know where the store is."""
    lines = "".join(f"Environment={name}={value}\n" for name, value in store.environment().items())
    for unit in ("mount-s3@.service", "cloud-final.service"):
        directory = machine.root / f"etc/systemd/system/{unit}.d"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "store.conf").write_text(f"[Service]\n{lines}")
