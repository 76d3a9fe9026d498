"""The checks. Each gives complaints as text; no complaint means that a file is good."""

import email
import json
import re
import subprocess

import jsonschema
import yaml
from policies import complaints_about_policy

SHELL = re.compile(r"#!\s*(?:/usr)?/bin/(?:env )?(bash|sh)\b")
# Files of a chart that are YAML, but nothing that an API server is given.
CHART = re.compile(r"^deploy/helm/.*\.ya?ml$")


class Loader(yaml.CSafeLoader):
    """Refuses a key that is there twice, of which YAML would silently take the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key} twice", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


def unique(pairs):
    """A JSON object whose keys are there once."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the key {name} twice")
    return dict(pairs)


class Checks:
    """Checks files by what they are, and counts what it looked at."""

    def __init__(self, schemas, root):
        known = json.loads(schemas.read_text())
        self.kinds, self.components = known["kinds"], known["components"]
        self.user_data = {
            path.read_text() for path in (root / "deploy/node/user-data").glob("*.sh")
        }
        self.documents = self.scripts = self.policies = 0

    def check(self, path, text):
        """All complaints about a file."""
        if path.endswith((".yaml", ".yml")):
            return list(self.yaml(path, text))
        if path.endswith(".json"):
            return list(self.json(path, text))
        if SHELL.match(text) or path.endswith(".sh"):
            return list(self.shell(text))
        return []

    def yaml(self, path, text):
        try:
            documents = list(yaml.load_all(text, Loader))
        except yaml.YAMLError as error:
            yield f"no YAML: {error}".replace("\n", " ")
            return
        for document in documents:
            if document is None or CHART.match(path):
                continue
            self.documents += 1
            yield from self.object(document)
            yield from self.strings(
                document, str(document.get("kind")) if isinstance(document, dict) else ""
            )

    def object(self, document):
        """A document against the schema of its kind."""
        if not isinstance(document, dict) or "kind" not in document or "apiVersion" not in document:
            yield "a document without apiVersion and kind"
            return
        kind = f"{document['apiVersion']}/{document['kind']}"
        schema = self.kinds.get(kind)
        if schema is None:
            others = [known for known in self.kinds if known.endswith(f"/{document['kind']}")]
            yield f"nobody knows {kind}; known are: {', '.join(others) or 'none of this kind'}"
            return
        if not (document.get("metadata") or {}).get("name"):
            yield f"{kind}: without metadata.name"
        validator = jsonschema.Draft4Validator({**schema, "components": self.components})
        for error in validator.iter_errors(document):
            where = "".join(
                f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.path
            )
            yield f"{kind}: {where or 'top'}: {error.message[:300]}"

    def strings(self, value, where):
        """Scripts inside of a document: in a ConfigMap, a command, or user data."""
        if isinstance(value, dict):
            for key, part in value.items():
                yield from self.strings(part, f"{where}.{key}")
        elif isinstance(value, list):
            for number, part in enumerate(value):
                yield from self.strings(part, f"{where}[{number}]")
        elif isinstance(value, str):
            yield from (
                f"{where}: {text}" for text in self.string(value, where.endswith(".userData"))
            )

    def string(self, text, is_user_data):
        if text.startswith("MIME-Version:"):
            message = email.message_from_string(text)
            parts = message.get_payload()
            if message.defects or not message.is_multipart() or not parts:
                yield f"no MIME multipart: {message.defects}"
                return
            scripts = [
                part.get_payload()
                for part in parts
                if part.get_content_type() == "text/x-shellscript"
            ]
        else:
            scripts = [text] if SHELL.match(text) else []
        for script in scripts:
            yield from self.shell(script)
            if is_user_data and script.strip() not in {known.strip() for known in self.user_data}:
                yield "user data that is no file of deploy/node/user-data"

    def shell(self, text):
        """A script through shellcheck."""
        self.scripts += 1
        dialect = SHELL.match(text)
        if not dialect:
            yield "a script whose first line names neither sh nor bash"
            return
        words = ["shellcheck", "--format=gcc", f"--shell={dialect[1]}", "-"]
        said = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
        yield from (line.removeprefix("-:") for line in said.stdout.splitlines())
        if said.returncode not in (0, 1):
            yield f"shellcheck failed: {said.stderr}"

    def json(self, path, text):
        try:
            value = json.loads(text, object_pairs_hook=unique)
        except ValueError as error:
            yield f"no JSON: {error}"
            return
        if "/iam/" in path:
            self.policies += 1
            yield from complaints_about_policy(value)
        elif path.endswith(".schema.json"):
            try:
                jsonschema.validators.validator_for(value).check_schema(value)
            except jsonschema.SchemaError as error:
                yield f"no JSON schema: {error.message}"
