"""Takes schemas out of Go modules and writes them into one file, made strict.

A schema is found by its `apiVersion/kind`. Unknown fields, which an API server drops with a
warning, are errors here.
"""

import json
import sys
from pathlib import Path

import yaml

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
REF = "#/components/schemas/"


def strict(schema, everywhere=False):
    """Forbids fields that are not named. `everywhere` also where no field is named at all."""
    if not isinstance(schema, dict):
        return schema
    schema = dict(schema)
    if "properties" in schema:
        schema["properties"] = {
            name: strict(part, everywhere) for name, part in schema["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if key in schema:
            schema[key] = strict(schema[key], everywhere)
    is_object = "properties" in schema or (everywhere and schema.get("type") == "object")
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if is_object and not is_open:
        schema["additionalProperties"] = False
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def api_version(group, version):
    return f"{group}/{version}" if group else version


def from_openapi(directory, kinds, components):
    """Schemas of what Kubernetes has built in."""
    for path in sorted(directory.glob("*_openapi.json")):
        for name, schema in json.loads(path.read_text())["components"].get("schemas", {}).items():
            components[name] = strict(schema)
            meanings = schema.get("x-kubernetes-group-version-kind", [])
            # What has many meanings, such as DeleteOptions, is nothing that is written to a file.
            if len(meanings) == 1:
                (of,) = meanings
                version = api_version(of["group"], of["version"])
                kinds[f"{version}/{of['kind']}"] = {"$ref": REF + name}


def from_definitions(directory, kinds):
    """Schemas of custom resources."""
    for path in sorted(directory.glob("*.yaml")):
        spec = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"], everywhere=True)
            # The definition leaves it open, the API server does not.
            schema["properties"]["metadata"] = {"$ref": REF + OBJECT_META}
            key = f"{spec['group']}/{version['name']}/{spec['names']['kind']}"
            # The first module that knows a version is the newest.
            kinds.setdefault(key, schema)


def main(target, *modules):
    kinds, components = {}, {}
    for module in map(Path, modules):
        openapi = module / "api/openapi-spec/v3"
        definitions = [module / "pkg/apis/crds", module / "config/crd/bases"]
        if openapi.is_dir():
            from_openapi(openapi, kinds, components)
        elif found := [directory for directory in definitions if directory.is_dir()]:
            from_definitions(found[0], kinds)
        else:
            sys.exit(f"{module} has no schemas where they are looked for")
    Path(target).write_text(json.dumps({"kinds": kinds, "components": {"schemas": components}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
