"""Whatever write fails, and however, when runs are ended by people and reopened: each counts as it stands, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest

from chalicelib.domain.manners import WORKFLOW_RUNS_API
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import WaitKind
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.services import repairs, retries, verbs
from chalicelib.services.repairs import Asked
from chalicelib.store.errors import StoreError
from tests.conftest import Table
from tests.services.counting import check_statistics
from tests.services.faults import Fault, writes
from tests.services.house import Crash, House, a_call, a_house, a_line, a_wait
from tests.services.waiting import ASK

pytestmark = pytest.mark.store


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    house = a_house(table, monkeypatch)
    monkeypatch.setattr(retries, "settings_of", lambda *_: WorkflowSettings())
    return house


def told(house: House, run_id: str, verb: str) -> None:
    """Ask for a verb, as a client does that asks again when it got no answer; done already, it is refused."""
    asked = Asked(project_id="p", run_id=run_id, key="a", ask=ASK, clock=house.clock, outside=house.outside)
    acts: Mapping[str, Callable[[], object]] = {
        "retry": partial(repairs.retry, asked),
        "cancel": partial(
            verbs.terminate,
            "p",
            run_id,
            ask=ASK,
            manners=WORKFLOW_RUNS_API,
            now=house.clock.now(),
            outside=house.outside,
        ),
    }
    for _ in range(3):
        try:
            acts[verb]()
        except (Crash, StoreError):
            continue
        except Refusal:
            pass
        return


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", list(Fault))
def test_a_run_that_is_canceled_reopened_and_ends_counts_once_whatever_write_fails(house: House, fault: Fault) -> None:
    at, ended, failed = 0, list[Run](), set[str]()
    while True:
        at += 1
        run_id = house.start(a_line(a_call("a"), a_wait("wait")))
        house.settle(run_id, until=lambda run: WaitKind.EVENT in run.waiting_for)
        with writes(at=at, fault=fault) as watched:
            told(house, run_id, "cancel")
            house.drain()
            told(house, run_id, "retry")
            house.settle(run_id, until=lambda run: run.status.ended or WaitKind.EVENT in run.waiting_for)
            told(house, run_id, "cancel")
        run = house.settle(run_id)
        assert run.status is RunStatus.CANCELED
        ended.append(run)
        failed.add(watched.failed)
        if not watched.failed:
            break
    check_statistics(ended)
    assert failed >= {"TransactWriteItems", "UpdateItem", "PutItem"}
