"""Makes system calls for a test, one a line, in a process that never forks: a child that is started
while a file is open closes its copy, which publishes what is there."""

import json
import os
import sys


def write(fd, offset, letter, count):
    left = (letter * count).encode()
    while left:
        done = os.pwrite(fd, left, offset)
        left, offset = left[done:], offset + done


def read(fd):
    parts, offset = [], 0
    while part := os.pread(fd, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts).decode()


def close_all(*fds):
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass


def size(stat):
    return None if stat.st_mode & 0o170000 == 0o040000 else stat.st_size


CALLS = {
    "open": lambda path, flags: os.open(path, flags, 0o644),
    "write": write,
    "read": read,
    "flush": lambda fd: os.close(os.dup(fd)),
    "fsync": os.fsync,
    "close": os.close,
    "close_all": close_all,
    "ftruncate": os.ftruncate,
    "truncate": os.truncate,
    "fstat": lambda fd: size(os.fstat(fd)),
    "stat": lambda path: size(os.stat(path)),
    "unlink": os.unlink,
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "rename": os.rename,
    "list": lambda path: [entry.name for entry in os.scandir(path)],
}

for line in sys.stdin:
    call, *words = json.loads(line)
    try:
        answer = {"done": CALLS[call](*words)}
    except OSError as error:
        answer = {"errno": error.errno}
    print(json.dumps(answer), flush=True)
