"""Which errors mean that a part of the deployment does not answer now, as against a fault of ours."""

from __future__ import annotations

from typing import Final

from chalicelib.gateways import errors as gateway_errors
from chalicelib.store import errors as store_errors

#: Errors that may pass by themselves.
PASSING: Final = (store_errors.Unavailable, store_errors.Busy, gateway_errors.Unavailable)
