"""Checks of quotas; moto has none but DynamoDB's and API Gateway's, so the others are botocore's Stubber."""

from __future__ import annotations

from typing import Any

import pytest

from infra import checks_quotas as checks
from infra.checks import Site
from tests.infra.site import a_site, a_stack, lines, stub


def lambdas(free: int, *, used: int = 0) -> Any:
    limits = {
        "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": free,
        "TotalCodeSize": 80_000_000_000,
        "CodeSizeUnzipped": 262_144_000,
        "CodeSizeZipped": 52_428_800,
    }
    usage = {"TotalCodeSize": used, "FunctionCount": 5}
    return stub("lambda", ("get_account_settings", {"AccountLimit": limits, "AccountUsage": usage}))


def site(service: str, client: Any, *, deployed: bool = False, **parameters: str) -> Site:
    return a_site(stack=a_stack(parameters=parameters) if deployed else None, stubs={service: client})


def test_too_few_invocations_at_once_are_told_with_what_takes_them() -> None:
    [enough] = lines(site("lambda", lambdas(1000)), checks.concurrency)
    [few] = lines(site("lambda", lambdas(10)), checks.concurrency)

    assert enough.startswith(
        "ok it: 1000 invocations at once for functions without a reservation, of 1000: each request"
    )
    assert few.startswith("warn it: 10 invocations at once")
    assert "Concurrent executions" in few


@pytest.mark.parametrize(("free", "level"), [(900, "ok"), (99, "warn")])
def test_what_is_reserved_is_held_against_what_lambda_leaves_others(free: int, level: str) -> None:
    at = site("lambda", lambdas(free), deployed=True, ApiConcurrency="20", DriveConcurrency="80")

    [_, reserved] = lines(at, checks.concurrency)

    assert reserved.startswith(f"{level} it: 100 reserved by ApiConcurrency, ")


def test_a_full_room_for_code_is_told_before_it_is_full() -> None:
    [fine] = lines(site("lambda", lambdas(1000, used=64_000_000_000)), checks.code_storage)
    [full] = lines(site("lambda", lambdas(1000, used=64_100_000_000)), checks.code_storage)

    assert fine == "ok it: 64.0 of 80.0 GB are taken"
    assert full.startswith("warn it: 64.1 of 80.0 GB are taken: when they all are, nothing can be deployed")


def gateway(rate: float, burst: int) -> Any:
    throttle = {"rateLimit": rate, "burstLimit": burst}
    return stub("apigateway", ("get_account", {"throttleSettings": throttle}))


def test_an_account_that_throttles_before_the_stack_would_is_told() -> None:
    [fine] = lines(site("apigateway", gateway(10_000, 5_000)), checks.requests)
    asked = {"RequestsPerSecond": "500", "RequestBurst": "6000"}
    [less] = lines(site("apigateway", gateway(10_000, 5_000), deployed=True, **asked), checks.requests)

    assert fine.startswith("ok it: 10000 requests a second and 5000 at once")
    assert less.startswith("warn it: 10000 requests a second and 5000 at once")
    assert "less than the 500 and 6000 that RequestsPerSecond and RequestBurst promise" in less


def quotas(operation: str, **values: float) -> tuple[str, dict[str, Any]]:
    return operation, {
        "Quotas": [{"QuotaName": name.replace("_", " "), "Value": value} for name, value in values.items()]
    }


def parking(applied: dict[str, float], usual: dict[str, float]) -> list[str]:
    client = stub(
        "service-quotas",
        quotas("list_service_quotas", **applied),
        quotas("list_aws_default_service_quotas", **usual),
    )
    return lines(site("service-quotas", client), checks.parking)


def test_step_functions_quotas_are_told_where_they_are_lower_than_usual() -> None:
    usual = {"StartExecution_rate": 300.0, "Open_executions": 1e6, "Activities": 1e4}

    assert parking(usual, usual) == ["ok it: as usual (Open executions 1000000, StartExecution rate 300)"]
    [low] = parking({**usual, "StartExecution_rate": 100.0, "Activities": 1.0}, usual)
    assert low.startswith("warn it: StartExecution rate is 100, where 300 is usual, and runs that wait use it | mend:")
    assert parking({"Activities": 1.0}, usual)[0].startswith("ok it: AWS lists none")


def test_units_of_a_table_are_told_as_runs() -> None:
    def limits(units: int) -> Any:
        names = [f"{whose}Max{what}CapacityUnits" for whose in ("Account", "Table") for what in ("Read", "Write")]
        return stub("dynamodb", ("describe_limits", dict.fromkeys(names, units)))

    [fine] = lines(site("dynamodb", limits(40_000)), checks.units)
    [few] = lines(site("dynamodb", limits(3_399)), checks.units)

    assert fine == "ok it: 40000 units written and 40000 read a second in one table, so 1176 runs of ten steps"
    assert few.startswith("warn it: 3399 units written")
    assert "99 runs of ten steps" in few


def test_a_quota_that_nobody_may_read_is_told_and_no_fault() -> None:
    at = site("lambda", stub("lambda", ("get_account_settings", "AccessDeniedException")))

    assert lines(at, checks.concurrency) == [
        "warn it: could not look: your credentials may not | mend: allow x:Look",
    ]


def test_a_quota_that_this_region_does_not_tell_is_no_fault_of_the_stack() -> None:
    at = site("lambda", stub("lambda", ("get_account_settings", "404")), deployed=False)

    assert lines(at, checks.concurrency) == ["warn it: could not look: GetAccountSettings answered 404: said so"]
