"""The shop that the order workflow talks to: prices and stock over HTTP, and a stock that is busy when first asked.

`python examples/order/shop.py` serves it on http://127.0.0.1:8090.
"""

from __future__ import annotations

import itertools
import json
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

PRICES: Final = {"chair": 89, "table": 640, "lamp": 45, "sofa": 1200}
SOLD_OUT: Final = frozenset({"sofa"})


class Shop:
    """A shop on a port of the loopback, as a context manager. ``port`` 0 is a free one."""

    def __init__(self, *, port: int = 0) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], name="shop", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Open it, with no order known and the stock busy for each order's first request."""
        _Handler.stock = Stock()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._server.shutdown()
        self._server.server_close()


class Stock:
    """Reservations, one for each idempotency key however often it is asked for."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._by_key: dict[str, str] = {}

    def reserve(self, key: str) -> str | None:
        """Return the reservation for a request's key; None the first time, when the stock is busy."""
        with self._lock:
            if key not in self._asked:
                self._asked.add(key)
                return None
            return self._by_key.setdefault(key, f"rsv_{next(self._numbers)}")


class _Handler(BaseHTTPRequestHandler):
    stock = Stock()

    def do_GET(self) -> None:
        """Answer the cost of a quantity: `/prices/<sku>?quantity=<n>`."""
        parts = urlsplit(self.path)
        price = PRICES.get(parts.path.removeprefix("/prices/"))
        if price is None:
            self._answer(HTTPStatus.NOT_FOUND, {"message": "no such thing in this shop"})
            return
        quantity = int(parse_qs(parts.query).get("quantity", ["1"])[0])
        self._answer(HTTPStatus.OK, {"price": price, "cost": price * quantity})

    def do_POST(self) -> None:
        """Reserve what the body's lines say: `/reservations`."""
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not SOLD_OUT.isdisjoint(line["sku"] for line in order["lines"]):
            self._answer(HTTPStatus.CONFLICT, {"message": "sold out"})
            return
        reservation = self.stock.reserve(self.headers["Idempotency-Key"])
        if reservation is None:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"message": "the stock is being counted, ask again"})
            return
        self._answer(HTTPStatus.CREATED, {"id": reservation})

    def do_DELETE(self) -> None:
        """Give a reservation back: `/reservations/<id>`."""
        self._answer(HTTPStatus.OK, {"released": self.path.rpartition("/")[2]})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: HTTPStatus, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt), Shop(port=8090) as shop:
        print(f"The shop is open on {shop.url}   (Ctrl-C closes it)", flush=True)
        threading.Event().wait()
