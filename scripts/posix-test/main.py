#!/usr/bin/env python3
"""pjdfstest on a mount of the embedded S3 server, each name in a process of its own.

All that names.txt lists has to pass. A name that is neither listed nor excluded is an error, and so
is one that the tool does not have. Has to be root in mount and process namespaces of its own.
"""

import argparse
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs" / "semantics.md"
LEAST = 127
NAME_TIMEOUT_SECONDS = 60
# A path may have 4,095 bytes and a key 1,024: only below a long path do keys reach to its end.
MOUNT_POINT_BYTES = 3150
# The time of an object has whole seconds.
NAP_SECONDS = 1.1
USERS = {"root": 0, "nobody": 65534, "tests": 65533}
CONFIG = """
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
[settings]
allow_remount = true
naptime = %s
[dummy_auth]
entries = [["nobody", "nobody"], ["tests", "tests"]]
"""
# Who may write is said by the mount, and modes are not kept: all may, and all may run what is there.
MOUNT = ["--allow-overwrite", "--allow-delete", "--ignore-attribute-changes", "--allow-other",
         "--dir-mode", "0777", "--file-mode", "0755", "--force-path-style"]


class Broken(Exception):
    """The tool could not be run."""


def listed():
    """The names that have to pass."""
    lines = (HERE / "names.txt").read_text().split()
    if len(lines) != len(set(lines)) or lines != sorted(lines):
        raise Broken("names.txt is not sorted, or has a name twice")
    return lines


def excluded():
    """Patterns of names that do not apply, each with its reason: the comment above it."""
    patterns, reason = {}, None
    for line in (HERE / "excluded.txt").read_text().splitlines():
        if not line:
            reason = None
        elif line.startswith("# "):
            reason = " ".join(filter(None, [reason, line[2:]]))
        elif reason is None or line in patterns:
            raise Broken(f"excluded.txt: {line} has no reason, or two")
        else:
            patterns[line] = reason
    return patterns


def complaints(known, names, patterns):
    """What is wrong with the lists, whatever passes."""
    matches = {name: [p for p in patterns if fnmatch.fnmatchcase(name, p)] for name in known}
    for name in sorted(set(names) - set(known)):
        yield f"{name} is listed, and the tool does not have it"
    for name, found in sorted(matches.items()):
        if name in names and found:
            yield f"{name} is listed, and excluded by {found[0]}"
        if name not in names and not found:
            yield f"{name} is neither listed nor excluded"
    used = {pattern for found in matches.values() for pattern in found}
    for pattern in sorted(set(patterns) - used):
        yield f"{pattern} excludes nothing"
    if len(names) < LEAST:
        yield f"{len(names)} names are listed, which is fewer than {LEAST}"
    rest = len(set(known) - set(names))
    claim = f"{len(known)} names {len(names)} apply, and pass; the other {rest} are excluded"
    if claim not in " ".join(DOCUMENT.read_text().split()):
        yield f"{DOCUMENT.name} does not say: {claim}"


def tmpfs(directory):
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "pjdfstest", directory], check=True)


class Tool:
    """pjdfstest, with users that need not be there, and a mount(8) without helpers."""

    def __init__(self, program, work):
        self.program, self.work = program, work
        for kind, entry in (("passwd", "{0}:x:{1}:{1}::/:/bin/sh\n"), ("group", "{0}:x:{1}:\n")):
            file = work / kind
            file.write_text("".join(entry.format(*user) for user in USERS.items()))
            subprocess.run(["mount", "--bind", file, f"/etc/{kind}"], check=True)
        # A remount is the kernel's affair; fuse's helper would start another daemon for it.
        shim = work / "bin" / "mount"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {shutil.which("mount")} -i "$@"\n')
        shim.chmod(0o755)
        self.environment = dict(os.environ, PATH=f"{shim.parent}:{os.environ['PATH']}",
                                NO_COLOR="1", LIBMOUNT_FORCE_MOUNT2="always")
        for name in ("RUST_BACKTRACE", "RUST_LIB_BACKTRACE"):
            self.environment.pop(name, None)
        self.local, self.second = work / "local", work / "second"
        self.local.mkdir()
        tmpfs(self.second)

    def run(self, directory, names, nap, timeout):
        """What became of names (or of all), and what was said about them."""
        config = self.work / "config.toml"
        config.write_text(CONFIG % nap)
        command = [self.program, "-c", config, "-p", directory, "-s", self.second, "-e", "--",
                   *(f"pjdfstest::tests::{name}" for name in names)]
        if not names:
            command.remove("-e")
        try:
            ran = subprocess.run(command, env=self.environment, timeout=timeout, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, errors="replace")
        except subprocess.TimeoutExpired:
            return {}, f"no answer within {timeout} s"
        said = ran.stdout
        return dict(re.findall(r"^(\S+::\S+)\s+(ok|skipped|FAILED)$", said, re.M)), said

    def names(self):
        """All names there are: those that a local file system is asked about."""
        results, said = self.run(self.local, [], 0.01, 300)
        if not results:
            raise Broken(f"pjdfstest did not run: {said}")
        return set(results)

    def passes(self, directory, name, nap):
        """None where it does, else why not."""
        results, said = self.run(directory, [name], nap, NAME_TIMEOUT_SECONDS)
        if results == {name: "ok"}:
            return None
        lines = [line.strip() for line in said.splitlines() if line.startswith("\t")]
        return " ".join(lines) or said.strip()


class Mount:
    """A bucket of the embedded S3 server as a folder."""

    def __init__(self, binary, work):
        self.binary = binary
        self.directory = long_path(work / "mnt")
        with open(work / "lab.log", "wb") as log:
            self.lab = subprocess.Popen([binary, "lab", "--memory", "--bucket", "scratch"],
                                        stdout=subprocess.PIPE, stderr=log)
        first = self.lab.stdout.readline()
        if not first:
            raise Broken(f"the S3 server did not start: {(work / 'lab.log').read_text()}")
        facts = json.loads(first)
        environment = dict(
            os.environ, AWS_ACCESS_KEY_ID=facts["access_key"], AWS_REGION=facts["region"],
            AWS_SECRET_ACCESS_KEY=facts["secret_key"], AWS_EC2_METADATA_DISABLED="true")
        subprocess.run([binary, "scratch", self.directory, "--endpoint-url", facts["endpoint"],
                        "--log-directory", work / "log", *MOUNT],
                       env=environment, check=True, stdout=subprocess.DEVNULL)

    def end(self):
        ended = subprocess.run([self.binary, "umount", "--lazy", self.directory],
                               stdout=subprocess.DEVNULL)
        self.lab.terminate()
        self.lab.wait()
        ended.check_returncode()


def long_path(start):
    rest = MOUNT_POINT_BYTES - len(bytes(start))
    components = [min(200, rest - at) - 1 for at in range(0, rest, 200)]
    path = start.joinpath(*("d" * length for length in components if length > 0))
    path.mkdir(parents=True)
    return path


def play(arguments, work):
    names, patterns = listed(), excluded()
    tool = Tool(arguments.pjdfstest, work)
    known = tool.names()
    wrong = list(complaints(known, names, patterns))
    begun = time.monotonic()
    rest = sorted(known - set(names))
    mount = Mount(arguments.binary, work)
    try:
        failed = {name: why for name in names
                  if (why := tool.passes(mount.directory, name, NAP_SECONDS)) is not None}
        also = [name for name in rest
                if arguments.all and tool.passes(mount.directory, name, NAP_SECONDS) is None]
    finally:
        mount.end()
    seconds = round(time.monotonic() - begun)
    for name, why in failed.items():
        local = tool.passes(tool.local, name, 0.01)
        where = " (nor does it on tmpfs: it is the machine)" if local is not None else ""
        wrong.append(f"{name} does not pass{where}: {why}")
    for line in wrong:
        print(line, file=sys.stderr)
    for name in also:
        print(f"{name} is excluded, and passed")
    figures = {"names": len(known), "listed": len(names), "passed": len(names) - len(failed),
               "excluded": len(rest), "reasons": len(set(patterns.values())), "seconds": seconds}
    print("pjdfstest: {names} names, {listed} listed, {passed} passed; {excluded} excluded for "
          "{reasons} reasons; {seconds} s".format(**figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures) + "\n")
    return 1 if wrong else 0


def interrupted(number, _frame):
    raise KeyboardInterrupt(number)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="try what is excluded, too")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("binary", type=Path, help="the mount-s3 to run")
    parser.add_argument("pjdfstest", type=Path, help="the tool to run")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    # Not below anybody's home: other users have to reach it.
    work = Path(tempfile.mkdtemp(prefix="pjdfstest-", dir="/tmp"))
    try:
        tmpfs(work)
        return play(arguments, work)
    except KeyboardInterrupt:
        return 130
    except (Broken, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        # With everything that is mounted below it.
        subprocess.run(["umount", "--lazy", work], stderr=subprocess.DEVNULL)
        work.rmdir()


if __name__ == "__main__":
    sys.exit(main())
