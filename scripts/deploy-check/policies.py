"""Policies of IAM: their grammar, and what each action is about.

IAM accepts a policy whose action and resource do not fit, and then allows nothing.
"""

import re

import jsonschema

STRINGS = {"type": "array", "minItems": 1, "items": {"type": "string"}}
OPERATORS = "String(Equals|Like)|Arn(Equals|Like)"
STATEMENT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["Sid", "Effect", "Action"],
    "properties": {
        "Sid": {"type": "string", "pattern": "^[A-Za-z0-9]+$"},
        "Effect": {"enum": ["Allow"]},
        "Action": STRINGS,
        "Resource": STRINGS,
        "Principal": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {"Service": {"type": "string"}, "Federated": {"type": "string"}},
        },
        "Condition": {
            "type": "object",
            "additionalProperties": False,
            "patternProperties": {
                f"^({OPERATORS})$": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": {"anyOf": [{"type": "string"}, STRINGS]},
                }
            },
        },
    },
    # A policy of a role names resources, a trust policy names who may take the role.
    "oneOf": [{"required": ["Resource"]}, {"required": ["Principal"]}],
}
POLICY = {
    "type": "object",
    "additionalProperties": False,
    "required": ["Version", "Statement"],
    "properties": {
        "Version": {"const": "2012-10-17"},
        "Statement": {"type": "array", "minItems": 1, "items": STATEMENT},
    },
}

# What a mount for reading may ask for, and the resources that the action is about.
BUCKET = r"arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
RESOURCES = {
    "s3:ListBucket": re.compile(BUCKET),
    "s3:GetObject": re.compile(BUCKET + r"/.+"),
    "kms:Decrypt": re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[0-9a-f-]{36}"),
}
# How a role is taken, and who takes it that way.
TAKERS = {
    "sts:AssumeRole": "Service",
    "sts:TagSession": "Service",
    "sts:AssumeRoleWithWebIdentity": "Federated",
}


def complaints_about_policy(policy):
    """What is wrong with a policy."""
    errors = list(jsonschema.Draft7Validator(POLICY).iter_errors(policy))
    if errors:
        for error in errors:
            yield f"policy: {'.'.join(map(str, error.path)) or 'top'}: {error.message[:300]}"
        return
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            yield from complaints_about_action(statement, action)


def complaints_about_action(statement, action):
    name = f"policy: {statement['Sid']}: {action}"
    if "Principal" in statement:
        taker = TAKERS.get(action)
        if taker is None:
            yield f"{name} is no way to take a role"
        elif taker not in statement["Principal"]:
            yield f"{name} needs a principal of the kind {taker}"
        if taker == "Federated" and "Condition" not in statement:
            yield f"{name} without a condition lets every service account of the cluster in"
        return
    pattern = RESOURCES.get(action)
    if pattern is None:
        yield f"{name} is more than a mount for reading needs; it needs {', '.join(RESOURCES)}"
        return
    for resource in statement["Resource"]:
        if not pattern.fullmatch(resource):
            yield f"{name} is not about {resource}"
