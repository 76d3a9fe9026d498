"""`python3 -m e2e.k8s`, from the root of the repository: a real Kubernetes for mount-s3."""

import argparse
import json
import os
import sys
from pathlib import Path

from . import facts, interruption, scene, supervisor
from .scenario import SCENARIOS
from .scenarios import chart, cluster, guide, spark, ways  # noqa: F401 (they register themselves)
from .shell import Failure


def parsed():
    parser = argparse.ArgumentParser(prog="e2e", description=__doc__)
    parser.add_argument("what", nargs="?", default="run",
                        choices=["run", "prepare", "interrupt", "clean", "list", "inside"],
                        help="play the scenarios (default), only build and download what they "
                        "need, interrupt clusters and look at what is left, take away what an earlier run left, or list the scenarios")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="this scenario and what it needs; may be repeated")
    parser.add_argument("--keep", action="store_true",
                        help="keep the cluster until Ctrl-C after the scenarios")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def main():
    arguments = parsed()
    if arguments.what == "list":
        for one in SCENARIOS.values():
            print(f"{one.name:<32}{one.promise}")
        return 0
    if os.geteuid() != 0:
        raise Failure("a node mounts and makes namespaces: run this as root")
    if arguments.what == "inside":
        scene.main(json.loads((facts.WORK / "request.json").read_text()))
        return 0
    if arguments.what == "prepare":
        supervisor.prepare()
        return 0
    if arguments.what == "clean":
        supervisor.locked()
        supervisor.clean()
        return 0
    if arguments.what == "interrupt":
        results = interruption.main()
    else:
        results = supervisor.main(arguments.only, arguments.keep)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    passed = sum(result["ok"] for result in results)
    if passed < len(results):
        print(f"logs: {facts.LOGS}")
    print(f"{passed} passed, {len(results) - passed} failed")
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit("interrupted before the cluster was started; nothing is left to take away")
