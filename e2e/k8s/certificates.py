"""The cluster's authority and what it vouches for, made by openssl for one run."""

import base64
import json

from . import facts
from .shell import run


class Authority:
    """Makes keys, certificates and kubeconfigs in one directory."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True)
        self.key("ca")
        self.openssl("req", "-x509", "-new", "-key", self.path("ca.key"), "-days", "2",
                     "-subj", "/CN=e2e", "-out", self.path("ca.crt"))
        self.openssl("genrsa", "-out", self.path("accounts.key"), "2048")
        self.openssl("rsa", "-in", self.path("accounts.key"), "-pubout",
                     "-out", self.path("accounts.pub"))

    def path(self, name):
        return self.directory / name

    def openssl(self, *words):
        run(["openssl", *words])

    def key(self, name):
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout",
                     "-out", self.path(f"{name}.key"))

    def certificate(self, name, subject, alternatives=""):
        """A key and its certificate, for a server where it has other names."""
        self.key(name)
        extensions = "extendedKeyUsage=clientAuth,serverAuth\n"
        if alternatives:
            extensions += f"subjectAltName={alternatives}\n"
        self.path(f"{name}.ext").write_text(extensions)
        self.openssl("req", "-new", "-key", self.path(f"{name}.key"), "-subj", subject,
                     "-out", self.path(f"{name}.csr"))
        self.openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-days", "2",
                     "-CA", self.path("ca.crt"), "-CAkey", self.path("ca.key"),
                     "-CAcreateserial", "-extfile", self.path(f"{name}.ext"),
                     "-out", self.path(f"{name}.crt"))

    def serving(self):
        """The API server's certificate."""
        names = ["DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc",
                 f"IP:{facts.API_SERVICE}", f"IP:{facts.node_address(1)}", "IP:127.0.0.1"]
        self.certificate("apiserver", "/CN=kube-apiserver", ",".join(names))

    def kubeconfig(self, name, subject):
        """Who `subject` is, in the form that every program of Kubernetes takes."""
        self.certificate(name, subject)

        def data(file):
            return base64.b64encode(self.path(file).read_bytes()).decode()

        value = {
            "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
            "clusters": [{"name": "e2e", "cluster": {
                "server": f"https://{facts.node_address(1)}:6443",
                "certificate-authority-data": data("ca.crt")}}],
            "users": [{"name": name, "user": {
                "client-certificate-data": data(f"{name}.crt"),
                "client-key-data": data(f"{name}.key")}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": name}}]}
        path = self.path(f"{name}.kubeconfig")
        path.write_text(json.dumps(value))
        return path
