"""Runs the tests of packages and user data: what `scripts/test-packages` calls."""

import argparse
import fcntl
import signal
import sys
import time
import traceback
from pathlib import Path

import packages
import user_data
from machine import Failure, Machine, sweep

ROOT = Path(__file__).resolve().parents[2]


class Tests:
    """What every test is given."""

    def __init__(self, binary, directory, debian):
        self.root = ROOT
        self.binary = str(Path(binary).resolve())
        self.packages = str(Path(directory).resolve())
        self.deb = f"{self.packages}/mount-s3.deb"
        self.rpm = f"{self.packages}/mount-s3.rpm"
        self.debian = Path(debian).resolve()

    def machine(self):
        return Machine(self.debian)

    def install(self, machine):
        """Installs the .deb."""
        (machine.root / "root/mount-s3.deb").write_bytes(Path(self.deb).read_bytes())
        machine.ok("dpkg --install /root/mount-s3.deb && rm /root/mount-s3.deb")


def outcome(case, tests):
    """Runs one test; what went wrong, or nothing."""
    try:
        case(tests)
    except Failure as failure:
        return str(failure)
    except Exception:
        return traceback.format_exc()
    return None


def main():
    words = argparse.ArgumentParser()
    words.add_argument("binary")
    words.add_argument("packages")
    words.add_argument("debian", help="a directory with a small Debian, of scripts/debian-root")
    words.add_argument(
        "names", nargs="*", help="only tests whose name has one of these words in it"
    )
    asked = words.parse_args()
    tests = Tests(asked.binary, asked.packages, asked.debian)
    # Process 1, which this is, is sent no signal that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    turn = open(tests.debian / "etc/hostname", encoding="utf-8")
    fcntl.flock(turn, fcntl.LOCK_EX)
    sweep(tests.debian)
    cases = packages.CASES + user_data.CASES
    chosen = [
        case
        for case in cases
        if not asked.names or any(name in case.__name__ for name in asked.names)
    ]
    failed = 0
    for case in chosen:
        begun = time.monotonic()
        wrong = outcome(case, tests)
        failed += wrong is not None
        verdict = "FAIL" if wrong else "ok  "
        print(
            f"{verdict} {case.__name__.replace('_', ' ')} ({time.monotonic() - begun:.1f} s)",
            flush=True,
        )
        if wrong:
            print("     " + wrong.replace("\n", "\n     "), flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(failed > 0 or not chosen)


if __name__ == "__main__":
    main()
