"""Errors planted into good files, one of each kind that the checks are there for."""

import json
from dataclasses import dataclass


@dataclass
class Plant:
    """A file with one error, and the complaint that has to name it."""

    what: str
    expected: str
    path: str
    text: str


NODE_POOL = "deploy/node/karpenter/v1/daemonset.yaml"
NODE_CLASS = "deploy/node/karpenter/v1/user-data.yaml"
BETA = "deploy/node/karpenter/v1beta1/user-data.yaml"
USER_DATA = "deploy/node/user-data/al2023.sh"
POLICY = "deploy/node/iam/read-bucket.json"
TRUST = "deploy/node/iam/trust-irsa.json"
# what, the complaint, the file, the text that is replaced, by what
REPLACEMENTS = [
    (
        "an unknown field of a custom resource",
        "'startupTaint' was unexpected",
        NODE_POOL,
        "startupTaints:",
        "startupTaint:",
    ),
    (
        "a number where a text belongs",
        "is not of type 'string'",
        NODE_POOL,
        "key: mount-s3.io/not-ready",
        "key: 7",
    ),
    (
        "a word that is none of those allowed",
        "is not one of",
        NODE_POOL,
        "effect: NoExecute",
        "effect: Never",
    ),
    (
        "a field that must be there",
        "'nodeClassRef' is a required property",
        NODE_POOL,
        "nodeClassRef:",
        "labels:",
    ),
    (
        "a key that is there twice",
        "the key kind twice",
        NODE_POOL,
        "kind: NodePool",
        "kind: NodePool\nkind: NodePool",
    ),
    ("no YAML at all", "no YAML", NODE_POOL, "spec:\n", "spec: [\n"),
    (
        "a resource without a name",
        "without metadata.name",
        NODE_POOL,
        "  name: spark-jars\nspec:\n  template",
        "  labels: {}\nspec:\n  template",
    ),
    (
        "the data-on-eks guide's apiVersion of EC2NodeClass",
        "nobody knows karpenter.sh/v1beta1/EC2NodeClass",
        BETA,
        "apiVersion: karpenter.k8s.aws/v1beta1\nkind: EC2NodeClass",
        "apiVersion: karpenter.sh/v1beta1\nkind: EC2NodeClass",
    ),
    (
        "a field that only the newer version has",
        "was unexpected",
        BETA,
        "amiFamily: AL2023",
        "amiFamily: AL2023\n  ipPrefixCount: 1",
    ),
    (
        "an unknown field of metadata",
        "'label' was unexpected",
        NODE_CLASS,
        "metadata:\n  name: spark-jars\n",
        "metadata:\n  name: spark-jars\n  label: {}\n",
    ),
    (
        "a syntax error in user data inside of YAML",
        "error",
        NODE_CLASS,
        "    fail() {",
        "    fail( {",
    ),
    (
        "user data that is not the file's any more",
        "no file of deploy/node/user-data",
        NODE_CLASS,
        "--max-time 300",
        "--max-time 200",
    ),
    ("a MIME document that is cut off", "no MIME multipart", NODE_CLASS, "    --BOUNDARY\n", ""),
    ("a syntax error in a script", "error", USER_DATA, "fail() {", "fail( {"),
    (
        "an unquoted variable in a script",
        "SC2086",
        USER_DATA,
        'rm -rf "$scratch"\' EXIT',
        "true' EXIT; rm -rf $scratch",
    ),
    ("a script for nobody", "names neither sh nor bash", USER_DATA, "#!/bin/bash", "# /bin/bash"),
    ("no JSON", "no JSON", POLICY, '"2012-10-17",', '"2012-10-17"'),
    ("a misspelt key of a policy", "'Efect' was unexpected", POLICY, '"Effect"', '"Efect"'),
    (
        "objects that are listed",
        "s3:ListBucket is not about",
        POLICY,
        '"arn:aws:s3:::my-spark-jars"',
        '"arn:aws:s3:::my-spark-jars/*"',
    ),
    (
        "a bucket that is got",
        "s3:GetObject is not about",
        POLICY,
        '"arn:aws:s3:::my-spark-jars/*"',
        '"arn:aws:s3:::my-spark-jars"',
    ),
    (
        "a policy that allows more than reading",
        "more than a mount",
        POLICY,
        '"s3:GetObject"',
        '"s3:*"',
    ),
    (
        "a trust policy without a condition",
        "lets every service account",
        TRUST,
        '"Condition"',
        '"Conditions"',
    ),
    ("a principal of the wrong kind", "needs a principal", TRUST, '"Federated"', '"Service"'),
]

DAEMON_SET = """apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: planted
spec:
  selector: {matchLabels: {app: planted}}
  template:
    metadata: {labels: {app: planted}}
    spec:
      containers:
        - name: planted
          image: planted
          command: [/bin/sh, -c, "true"]
"""
CONFIG_MAP = """apiVersion: v1
kind: ConfigMap
metadata:
  name: planted
data:
  run.sh: |
    #!/bin/sh
    if true; then
"""
SPARK = """apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata:
  name: planted
spec:
  type: Python
  mode: cluster
  sparkVersion: 3.5.3
  driver: {}
  executor: {instances: two}
"""


def all_of(root):
    """All planted errors. A good text that is not in its file any more is an error itself."""
    planted = []
    for what, expected, path, good, bad in REPLACEMENTS:
        text = (root / path).read_text()
        if what == "a trust policy without a condition":
            text = without_condition(text)
        else:
            assert good in text, f"{path} has no {good!r}; plant the error elsewhere"
            text = text.replace(good, bad, 1)
        planted.append(Plant(what, expected, path, text))
    manifest = "deploy/planted.yaml"
    bad_field = DAEMON_SET.replace("command:", "comand:")
    planted += [
        Plant("an unknown field of Kubernetes", "'comand' was unexpected", manifest, bad_field),
        Plant("a broken script in a ConfigMap", "SC", manifest, CONFIG_MAP),
        Plant("a wrong type in a SparkApplication", "is not of type 'integer'", manifest, SPARK),
        Plant("a document of no kind", "without apiVersion and kind", manifest, "spec: {}\n"),
    ]
    return planted


def without_condition(text):
    """A policy whose only statement has lost its condition."""
    policy = json.loads(text)
    del policy["Statement"][0]["Condition"]
    return json.dumps(policy)
