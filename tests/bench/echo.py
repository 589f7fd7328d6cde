"""A server that answers each request with the body it was sent, in a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter

import urllib3

from infra.local.dynamodb import PROJECT


@contextmanager
def echo_server() -> Iterator[str]:
    """Run the server and give its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.echo"], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/echo"
    finally:
        process.kill()
        process.communicate()


def calls(url: str, count: int, *, threads: int) -> float:
    """Make so many calls alone, so many at a time, and return the seconds that they took: the steps' own time."""
    with urllib3.PoolManager(maxsize=threads, retries=False) as http, ThreadPoolExecutor(threads) as pool:

        def call(number: int) -> int:
            return http.request("POST", url, json={"n": number}).status

        set(pool.map(call, range(threads)))  # connections are made, as the app's are kept from the run before
        began = perf_counter()
        assert set(pool.map(call, range(count))) == {200}
        return perf_counter() - began


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            body = await reader.readexactly(length)
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            writer.write(answer % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
