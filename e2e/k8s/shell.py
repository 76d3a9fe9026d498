"""Commands with a deadline, whose failure says what was run and what it answered."""

import subprocess
import time

TAIL_CHARACTERS = 3000


class Failure(Exception):
    """What was expected did not happen."""


def run(command, *, seconds=60, input=None, env=None, cwd=None, check=True):
    """Runs a command to its end; its output, standard error included where it failed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, input=input, env=env, cwd=cwd, timeout=seconds, text=True, errors="replace",
            stdin=subprocess.DEVNULL if input is None else None,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired as expired:
        raise Failure(f"{' '.join(words)}: no end after {seconds} s") from expired
    except FileNotFoundError as missing:
        raise Failure(f"{words[0]} is missing: {missing}") from missing
    if check and done.returncode != 0:
        said = (done.stdout + done.stderr)[-TAIL_CHARACTERS:].strip()
        raise Failure(f"{' '.join(words)} ended with {done.returncode}:\n{said}")
    return done


def output(command, **options):
    """What a command prints."""
    return run(command, **options).stdout


def until(what, seconds, holds, every=0.2):
    """Waits until `holds()` is true and gives its value; `Failure`s of it count as "not yet"."""
    deadline = time.monotonic() + seconds
    last = "it never held"
    while True:
        try:
            value = holds()
            if value:
                return value
        except Failure as failure:
            last = str(failure)
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what} ({last})")
        time.sleep(every)


def expect(holds, what):
    """Fails with `what` where a promise does not hold. Unlike `assert` it cannot be switched off."""
    if not holds:
        raise Failure(what)
