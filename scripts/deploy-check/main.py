"""Checks deployment files: what `scripts/check-deploy` runs."""

import sys
from pathlib import Path

import plants
from checks import Checks

ROOT = Path(__file__).resolve().parents[2]
# Also the scripts that end on a user's machine with the package, and those of this project.
DIRECTORIES = ["deploy", "crates/mount/package", "scripts"]


def files_below(directory):
    """All files but those of a chart's templates, which are no YAML before they are rendered."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "templates" not in path.parts:
            yield path


def self_test(checks):
    """Every planted error has to be found, and by its own complaint."""
    missed = 0
    for plant in plants.all_of(ROOT):
        complaints = checks.check(plant.path, plant.text)
        found = [text for text in complaints if plant.expected in text]
        missed += not found
        print(f"{'caught' if found else 'MISSED'}  {plant.what}")
        print(f"        {found[0] if found else complaints}")
    count = len(plants.all_of(ROOT))
    print(f"{count - missed} passed, {missed} failed")
    return missed


def main(schemas, *words):
    checks = Checks(Path(schemas), ROOT)
    if words == ("--self-test",):
        sys.exit(self_test(checks) > 0)
    if words == ("-",):
        texts = [("standard input.yaml", sys.stdin.read())]
    else:
        paths = [Path(word).resolve() for word in words] or [
            path for directory in DIRECTORIES for path in files_below(ROOT / directory)
        ]
        texts = [(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]
    failed = 0
    for path, text in texts:
        complaints = checks.check(path, text)
        failed += bool(complaints)
        for complaint in complaints:
            print(f"{path}: {complaint}", file=sys.stderr)
    print(f"{checks.documents} documents, {checks.scripts} scripts, {checks.policies} policies")
    print(f"{len(texts) - failed} passed, {failed} failed")
    sys.exit(failed > 0 or not texts)


if __name__ == "__main__":
    main(*sys.argv[1:])
