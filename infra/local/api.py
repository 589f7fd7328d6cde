"""Serves the app's routes over HTTP: Chalice's own local server, without what it costs in time."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    CustomLocalChalice,
    LocalChalice,
    LocalGateway,
    ThreadedHTTPServer,
)


class _Handler(ChaliceRequestHandler):
    """Keeps connections open, and sends each answer in one piece."""

    #: Without these two, headers and body go out apart and the second waits for the other side's delayed ACK (40 ms).
    disable_nagle_algorithm = True
    wbufsize = -1

    def __init__(self, *request: Any, gateway: LocalGateway) -> None:
        # In place of ChaliceRequestHandler's, which builds a gateway, and sorts all routes, for each connection.
        self.local_gateway = gateway
        super(ChaliceRequestHandler, self).__init__(*request)

    def log_request(self, *_: Any) -> None:
        """Say nothing: a line a request on stderr costs more than many a request."""

    def handle_expect_100(self) -> bool:
        """Let the client send its body now."""
        going_on: bool = super().handle_expect_100()
        self.wfile.flush()
        return going_on


class _Server(ThreadedHTTPServer):
    request_queue_size = 128
    allow_reuse_address = True


class ApiServer:
    """The app's routes at an address, from its making until ``close``."""

    def __init__(self, app: Chalice, *, port: int) -> None:
        # As chalice.local.create_local_server does, so that each thread has a current_request of its own.
        if not isinstance(app, LocalChalice):
            CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
            app.__class__ = CustomLocalChalice
        config = Config.create(chalice_app=app, app_name=app.app_name, lambda_timeout=29, lambda_memory_size=1024)
        self._server = _Server(("127.0.0.1", port), partial(_Handler, gateway=LocalGateway(app, config)))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=partial(self._server.serve_forever, 0.05), name="api", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept nothing more; requests under way may finish."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
