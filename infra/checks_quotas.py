"""Checks of the account's quotas: what they are, and what they mean here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from infra.checks import Check, Finding, Site, ok, warn

#: What Lambda keeps for functions without a reservation, at least:
#: https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html
UNRESERVABLE: Final = 100
_RESERVATIONS: Final = ("ApiConcurrency", "DriveConcurrency", "WorkConcurrency")
#: Of the room for code, from which on there should be more.
_NEARLY_FULL: Final = 0.8
#: What a run of ten steps takes (`make bench`, the chain of ten on DynamoDB Local).
_UNITS_A_RUN: Final = 34
#: Under this, a hundred such runs a second are too many.
_FEW_WRITE_UNITS: Final = 100 * _UNITS_A_RUN
#: What Step Functions' quotas are called that a run which waits uses.
_PARKING: Final = ("startexecution", "open execution", "state transition", "statetransition")

_ASK: Final = "Service Quotas in the AWS console, {}"


def concurrency(site: Site) -> Iterator[Finding]:
    """Look how many invocations of Lambda there may be at once, and what is reserved of them."""
    limits = site.aws.client("lambda").get_account_settings()["AccountLimit"]
    whole, free = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    reserved = sum(int(site.parameter(name) or 0) for name in _RESERVATIONS)
    mend = _ASK.format("Lambda: Concurrent executions")
    meaning = "each request, driven run and batch of steps takes one while it lasts; beyond, Lambda throttles"
    if free < UNRESERVABLE:
        yield warn(f"{free} invocations at once for functions without a reservation, of {whole}: {meaning}", mend)
    else:
        yield ok(f"{free} invocations at once for functions without a reservation, of {whole}: {meaning}")
    if not reserved:
        return
    said = f"{reserved} reserved by {', '.join(_RESERVATIONS)}"
    # What is reserved is not among the free ones any more.
    if free < UNRESERVABLE:
        yield warn(f"{said}: Lambda wants {UNRESERVABLE} left for others before it reserves more", mend)
    else:
        yield ok(said)


def code_storage(site: Site) -> Iterator[Finding]:
    """Look how full the region's room for Lambda's code is."""
    settings = site.aws.client("lambda").get_account_settings()
    used, room = settings["AccountUsage"]["TotalCodeSize"], settings["AccountLimit"]["TotalCodeSize"]
    said = f"{used / 1e9:.1f} of {room / 1e9:.1f} GB are taken"
    if used > _NEARLY_FULL * room:
        yield warn(f"{said}: when they all are, nothing can be deployed", "delete old versions of functions and layers")
        return
    yield ok(said)


def requests(site: Site) -> Iterator[Finding]:
    """Look whether API Gateway lets the account have as many requests as the stack would let through."""
    throttle = site.aws.client("apigateway").get_account().get("throttleSettings", {})
    rate, burst = throttle.get("rateLimit", 0), throttle.get("burstLimit", 0)
    wanted, wanted_burst = float(site.parameter("RequestsPerSecond") or 0), int(site.parameter("RequestBurst") or 0)
    said = f"{rate:.0f} requests a second and {burst} at once for all APIs of the region"
    if rate < wanted or burst < wanted_burst:
        yield warn(
            f"{said}, less than the {wanted:.0f} and {wanted_burst} that RequestsPerSecond and RequestBurst promise",
            _ASK.format("API Gateway: Throttle rate"),
        )
        return
    yield ok(f"{said}; this stack lets {wanted:.0f} and {wanted_burst} through to each endpoint")


def parking(site: Site) -> Iterator[Finding]:
    """Look which of Step Functions' quotas that runs which wait use are lower than AWS's own defaults.

    They go by their names: not every quota of Step Functions' is listed, nor under the same code everywhere.
    """
    client = site.aws.client("service-quotas")
    applied = _values(client, "list_service_quotas")
    usual = _values(client, "list_aws_default_service_quotas")
    named = {name: value for name, value in applied.items() if any(word in name.lower() for word in _PARKING)}
    low = {name: value for name, value in named.items() if value < usual.get(name, 0)}
    for name, value in low.items():
        said = f"{name} is {value:.0f}, where {usual[name]:.0f} is usual, and runs that wait use it"
        yield warn(said, _ASK.format("AWS Step Functions"))
    if not named:
        yield ok("AWS lists none of Step Functions' quotas that runs which wait use; its defaults hold")
    elif not low:
        yield ok(f"as usual ({', '.join(f'{name} {value:.0f}' for name, value in sorted(named.items()))})")


def units(site: Site) -> Iterator[Finding]:
    """Look how much may be read of and written to one table."""
    limits = site.aws.dynamodb.describe_limits()
    write, read = limits["TableMaxWriteCapacityUnits"], limits["TableMaxReadCapacityUnits"]
    said = f"{write} units written and {read} read a second in one table, so {write // _UNITS_A_RUN} runs of ten steps"
    if write < _FEW_WRITE_UNITS:
        yield warn(said, _ASK.format("DynamoDB: Table-level write throughput limit"))
        return
    yield ok(said)


def _values(client: object, operation: str) -> dict[str, float]:
    pages = client.get_paginator(operation).paginate(ServiceCode="states")  # type: ignore[attr-defined]
    return {quota["QuotaName"]: quota["Value"] for page in pages for quota in page["Quotas"] if "Value" in quota}


CHECKS: Final = (
    Check(about="quota of Lambda's invocations", look=concurrency, wants="lambda:GetAccountSettings", of_stack=False),
    Check(about="quota of Lambda's code", look=code_storage, wants="lambda:GetAccountSettings", of_stack=False),
    Check(about="quota of API Gateway", look=requests, wants="apigateway:GET on /account", of_stack=False),
    Check(
        about="quota of Step Functions",
        look=parking,
        wants="servicequotas:ListServiceQuotas, servicequotas:ListAWSDefaultServiceQuotas",
        of_stack=False,
    ),
    Check(about="quota of DynamoDB", look=units, wants="dynamodb:DescribeLimits", of_stack=False),
)
