"""Runs programs to the end: their output, the time to their first byte, their memory."""

import os
import selectors
import subprocess
import time


class ProgramError(Exception):
    """A program failed; says which and what it printed last."""


def _failure(command, what, stderr):
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return ProgramError(f"{os.path.basename(command[0])} {what}: {' | '.join(lines[-3:])}"
                        f" (command: {' '.join(command)})")


def output_of(command, timeout):
    """Standard output of a program that succeeds."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout, check=False)
    except OSError as error:
        raise ProgramError(f"{command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired as error:
        raise _failure(command, f"took longer than {timeout} s", error.stderr or b"") from None
    if done.returncode != 0:
        raise _failure(command, f"ended with {done.returncode}", done.stderr)
    return done.stdout.decode(errors="replace")


def first_output(command, timeout):
    """(seconds from the start of the process to its first byte of output, peak memory in MiB) of a
    program that succeeds."""
    begin = time.monotonic()
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
    except OSError as error:
        raise ProgramError(f"{command[0]}: {error.strerror}") from None
    first = None
    stderr = b""
    with selectors.DefaultSelector() as selector, process.stdout, process.stderr:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            left = begin + timeout - time.monotonic()
            if left <= 0:
                process.kill()
                process.wait()
                raise _failure(command, f"took longer than {timeout} s", stderr)
            for key, _ in selector.select(left):
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    stderr = (stderr + data)[-65536:]
                elif first is None:
                    first = time.monotonic() - begin
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise _failure(command, f"ended with {process.returncode}", stderr)
    if first is None:
        raise _failure(command, "printed nothing", stderr)
    return first, usage.ru_maxrss / 1024
