"""Stepwell's own Lambda functions, started and not waited for. A lost start is harmless: the sweep finds the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from chalicelib.domain.value import Json, dumps
from chalicelib.gateways import clients

if TYPE_CHECKING:
    from chalicelib.settings import Settings


class Invoker(Protocol):
    """What services ask of Stepwell's own functions."""

    def drive(self, run_id: str) -> None:
        """Have the run driven."""

    def work(self, run_id: str, keys: Sequence[str], owner: str) -> None:
        """Have the run's claimed steps, by key, executed by one invocation; ``owner`` is whose claims they are."""


class LambdaInvoker:
    """Asynchronous invocations: accepted by Lambda, which runs them and retries them itself."""

    def __init__(self, *, drive_function: str, work_function: str) -> None:
        self.drive_function = drive_function
        self.work_function = work_function

    @classmethod
    def of(cls, settings: Settings) -> LambdaInvoker:
        """Return the invoker of the deployment's functions."""
        return cls(drive_function=settings.drive_function, work_function=settings.work_function)

    def drive(self, run_id: str) -> None:
        """Have the run driven."""
        _start(self.drive_function, {"run_id": run_id})

    def work(self, run_id: str, keys: Sequence[str], owner: str) -> None:
        """Have the run's claimed steps executed."""
        _start(self.work_function, {"run_id": run_id, "keys": list(keys), "owner": owner})


class FakeInvoker:
    """Remembers what was started, in order."""

    def __init__(self) -> None:
        #: Run ids to drive.
        self.drives: list[str] = []
        #: Run id, keys and owner of each batch.
        self.works: list[tuple[str, tuple[str, ...], str]] = []

    def drive(self, run_id: str) -> None:
        """Remember the run."""
        self.drives.append(run_id)

    def work(self, run_id: str, keys: Sequence[str], owner: str) -> None:
        """Remember the batch."""
        self.works.append((run_id, tuple(keys), owner))


def _start(function: str, payload: Json) -> None:
    with clients.unavailable(f"function {function}"):
        clients.own_lambda().invoke(FunctionName=function, InvocationType="Event", Payload=dumps(payload).encode())
