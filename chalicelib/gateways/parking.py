"""Step Functions, which holds a run that can only wait (``infra/park.asl.json``), and the token that wakes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from botocore.exceptions import ClientError

from chalicelib.gateways import clients
from chalicelib.gateways.errors import Unavailable

if TYPE_CHECKING:
    from chalicelib.settings import Settings

#: A standard execution ends, unheard, after a year. So the wait inside it ends a day sooner, and the run parks again.
LONGEST_PARK_SECONDS: Final = 364 * 86_400

#: SendTaskSuccess's ways of saying that nobody waits for the token any more.
TOKEN_GONE: Final = frozenset({"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"})


class Parking(Protocol):
    """What services ask of the place where runs wait."""

    def park(self, *, run_id: str, pk: str, wake_seq: int, lease_seq: int, timeout_seconds: float) -> str:
        """Have the run held until its token is answered or the time is over, and return the execution's name.

        ``pk`` is the run's partition key, where the execution writes its token if the run's counters still are
        ``wake_seq`` and ``lease_seq``. Asking again with the same two is parking once.
        """

    def answer(self, token: str) -> bool:
        """Wake the run that waits with this token; False if nobody waits with it any more."""

    def check(self) -> None:
        """Raise Unavailable unless runs can be parked."""


class StepFunctionsParking:
    """Runs held by executions of the park state machine."""

    def __init__(self, *, state_machine_arn: str) -> None:
        self.state_machine_arn = state_machine_arn

    @classmethod
    def of(cls, settings: Settings) -> StepFunctionsParking:
        """Return the deployment's parking."""
        return cls(state_machine_arn=settings.park_state_machine_arn)

    def park(self, *, run_id: str, pk: str, wake_seq: int, lease_seq: int, timeout_seconds: float) -> str:
        """Start the execution; its name, taken for 90 days, is what makes a second start harmless."""
        name = execution_name(run_id, wake_seq, lease_seq)
        given = {
            "run_id": run_id,
            "pk": pk,
            # Text, as DynamoDB writes a number.
            "wake_seq": str(wake_seq),
            "lease_seq": str(lease_seq),
            "timeout_seconds": held_seconds(timeout_seconds),
        }
        with clients.unavailable("park state machine"):
            try:
                clients.step_functions().start_execution(
                    stateMachineArn=self.state_machine_arn, name=name, input=json.dumps(given)
                )
            except ClientError as error:
                if clients.code_of(error) != "ExecutionAlreadyExists":
                    raise
        return name

    def answer(self, token: str) -> bool:
        """Wake the run that waits with this token; False if nobody waits with it any more."""
        with clients.unavailable("park state machine"):
            try:
                clients.step_functions().send_task_success(taskToken=token, output="{}")
            except ClientError as error:
                if clients.code_of(error) not in TOKEN_GONE:
                    raise
                return False
        return True

    def check(self) -> None:
        """Raise Unavailable unless the state machine is there and active."""
        with clients.unavailable("park state machine"):
            found = clients.step_functions().describe_state_machine(stateMachineArn=self.state_machine_arn)
        if found.get("status", "ACTIVE") != "ACTIVE":
            raise Unavailable("park state machine: being deleted")


class Parked(NamedTuple):
    """A run as it was parked."""

    run_id: str
    pk: str
    wake_seq: int
    lease_seq: int
    timeout_seconds: int


class FakeParking:
    """Parked runs in memory. An execution's token is ``token of <name>`` and can be answered once."""

    def __init__(self) -> None:
        #: Every run that was parked, by execution name.
        self.parked: dict[str, Parked] = {}
        #: The tokens that somebody waits with.
        self.tokens: set[str] = set()

    def park(self, *, run_id: str, pk: str, wake_seq: int, lease_seq: int, timeout_seconds: float) -> str:
        """Remember the run, once."""
        name = execution_name(run_id, wake_seq, lease_seq)
        if name not in self.parked:
            held = held_seconds(timeout_seconds)
            self.parked[name] = Parked(run_id, pk, wake_seq, lease_seq, held)
            self.tokens.add(f"token of {name}")
        return name

    def answer(self, token: str) -> bool:
        """Use up a token; False if it is unknown or used up."""
        if token not in self.tokens:
            return False
        self.tokens.remove(token)
        return True

    def check(self) -> None:
        """Do nothing: memory is there."""


def execution_name(run_id: str, wake_seq: int, lease_seq: int) -> str:
    """Return the execution's name. A run may park twice at one wake-up count, but not twice under one lease."""
    return f"{run_id}-{wake_seq}-{lease_seq}"


def held_seconds(timeout_seconds: float) -> int:
    """Return for how long an execution waits: whole seconds, rounded up so that it never wakes a run too early."""
    return min(max(-int(-timeout_seconds // 1), 1), LONGEST_PARK_SECONDS)
