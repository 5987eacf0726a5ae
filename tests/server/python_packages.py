"""Python packages that tests of the server need, fetched once into the cache folder.

$MISTRAL_CACHE_DIR, else mistral.cpp in $XDG_CACHE_HOME or ~/.cache. Without a network the test is
left out (exit status 77), but in CI that is a failure.
"""

import hashlib
import os
import shutil
import subprocess
import sys

SKIPPED = 77
HERE = os.path.dirname(os.path.abspath(__file__))


def cache_folder():
    cache = os.environ.get("MISTRAL_CACHE_DIR")
    if not cache:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        cache = os.path.join(base, "mistral.cpp")
    return os.path.join(os.path.abspath(cache), "python")


def fetch(requirements, folder):
    incoming = f"{folder}.{os.getpid()}"
    result = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir",
         "--only-binary=:all:", "--no-deps", "--disable-pip-version-check", "--retries", "2",
         "--timeout", "30", "--target", incoming, "--requirement", requirements],
        env=dict(os.environ, PIP_REQUIRE_VIRTUALENV="0"), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        shutil.rmtree(incoming, ignore_errors=True)
        return result.stdout.strip() or f"pip ended with {result.returncode}"
    try:
        os.rename(incoming, folder)
    except OSError:  # another run was faster
        shutil.rmtree(incoming, ignore_errors=True)
    return None


def require(name):
    """Makes the packages of requirements/NAME.txt importable, or ends the program."""
    requirements = os.path.join(HERE, "requirements", name + ".txt")
    with open(requirements, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    folder = os.path.join(cache_folder(), f"{name}-{digest}-py{version}")
    problem = None if os.path.isdir(folder) else fetch(requirements, folder)
    if problem:
        print(f"the packages of {name} cannot be had: {problem}")
        sys.exit(1 if os.environ.get("CI") == "true" else SKIPPED)
    sys.path.insert(0, folder)
    return folder
