from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import StringShape

from chalicelib.api import bodies
from chalicelib.api.chalice_routes import CORS
from infra import package, template

README = Path(package.PROJECT / "README.md").read_text()

DOCUMENT = template.load()
API = DOCUMENT["Resources"]["RestAPI"]["Properties"]
RESPONSES = API["GatewayResponses"]

#: Of a method that asks for an authorizer, a validator or an API key of API Gateway's, as none of ours does. What is
#: left out falls to the two defaults.
NOT_OURS = {
    "API_CONFIGURATION_ERROR",
    "AUTHORIZER_CONFIGURATION_ERROR",
    "AUTHORIZER_FAILURE",
    "BAD_REQUEST_BODY",
    "BAD_REQUEST_PARAMETERS",
    "INVALID_API_KEY",
    "UNAUTHORIZED",
    "UNSUPPORTED_MEDIA_TYPE",
}


def headers(kind: str) -> dict[str, str]:
    found: dict[str, str] = RESPONSES[kind]["ResponseParameters"]["Headers"]
    return found


def body(kind: str) -> Any:
    return json.loads(RESPONSES[kind]["ResponseTemplates"]["application/json"])


def test_every_kind_of_answer_that_api_gateway_gives_by_itself_is_worded_or_left_to_a_default() -> None:
    service = botocore.session.get_session().get_service_model("apigateway")
    kinds = service.shape_for("GatewayResponseType")

    assert isinstance(kinds, StringShape)
    assert set(RESPONSES) == set(kinds.enum) - NOT_OURS


@pytest.mark.parametrize("kind", RESPONSES)
def test_an_answer_is_in_a_shape_that_all_apis_clients_can_read_with_a_code_that_is_documented(kind: str) -> None:
    told = body(kind)

    assert told.keys() == {"error", "message", "request_id", "requestId"}
    assert told["error"].keys() == {"code", "message"}
    assert f"`{told['error']['code']}`" in README
    assert told["message"] == told["error"]["message"]


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_page_of_any_origin_may_read_an_answer_as_it_may_an_endpoints(kind: str) -> None:
    of_endpoints = CORS.get_access_control_headers()
    own = headers(kind)

    for name in ("Access-Control-Allow-Origin", "Access-Control-Expose-Headers"):
        assert own[name] == f"'{of_endpoints[name]}'"
    readable = of_endpoints["Access-Control-Expose-Headers"].split(",")
    assert {name for name in own if not name.startswith("Access-Control-")} <= set(readable)


@pytest.mark.parametrize("kind", RESPONSES)
def test_an_answer_repeats_nothing_that_was_sent(kind: str) -> None:
    """Not even `$context.requestId`, which is what the caller says it is."""
    text = RESPONSES[kind]["ResponseTemplates"]["application/json"]

    assert set(re.findall(r"\$[\w.]+", text)) == {"$context.extendedRequestId"}
    assert {value for value in headers(kind).values() if not value.startswith("'")} == {"context.extendedRequestId"}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("MISSING_AUTHENTICATION_TOKEN", "404", "not_found"),
        ("RESOURCE_NOT_FOUND", "404", "not_found"),
        # To API Gateway a key in the header of a request for a path that there is not may be a bad signature.
        ("INVALID_SIGNATURE", "404", "not_found"),
        ("THROTTLED", None, "too_many"),
        ("REQUEST_TOO_LARGE", None, "body_too_large"),
        ("INTEGRATION_FAILURE", None, "try_later"),
        ("INTEGRATION_TIMEOUT", None, "try_later"),
        ("WAF_FILTERED", None, "forbidden"),
        # A status here would be that of every other answer of its class.
        ("DEFAULT_4XX", None, "bad_request"),
        ("DEFAULT_5XX", None, "try_later"),
    ],
)
def test_an_answer_has_the_status_and_the_code_of_what_it_says(kind: str, status: str | None, code: str) -> None:
    assert (RESPONSES[kind].get("StatusCode"), body(kind)["error"]["code"]) == (status, code)


def test_who_came_too_often_is_told_when_to_come_again() -> None:
    assert {kind: headers(kind)["Retry-After"] for kind in RESPONSES if "Retry-After" in headers(kind)} == {
        "THROTTLED": "'1'",
        "QUOTA_EXCEEDED": "'3600'",
    }


def test_the_longest_body_that_is_named_is_the_longest_that_is_read() -> None:
    assert re.findall(r"\d+", body("REQUEST_TOO_LARGE")["message"]) == [str(bodies.LONGEST_BODY)]


def test_two_stacks_are_told_apart_in_the_metrics() -> None:
    assert API["Name"] == {"Ref": "AWS::StackName"}


def test_every_endpoint_is_throttled_and_none_costs_a_metric_or_a_log_that_nobody_asked_for() -> None:
    [settings] = API["MethodSettings"]

    assert settings == {
        "ResourcePath": "/*",
        "HttpMethod": "*",
        "ThrottlingRateLimit": {"Ref": "RequestsPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "RequestBurst"},
        "MetricsEnabled": False,
        "LoggingLevel": "OFF",
        "DataTraceEnabled": False,
    }
    assert DOCUMENT["Parameters"]["AccessLog"]["Default"] == "false"
    # Its segments would hold the whole URL.
    assert "TracingEnabled" not in API


def test_a_line_of_the_access_log_is_json_on_one_line_and_tells_no_path_that_could_hold_a_secret() -> None:
    condition, log, otherwise = API["AccessLogSetting"]["Fn::If"]
    line = log["Format"]

    assert (condition, otherwise) == ("HasAccessLog", {"Ref": "AWS::NoValue"})
    assert "\n" not in line
    told = json.loads(line)
    assert {"$context.extendedRequestId", "$context.resourcePath"} <= set(told.values())
    # The second is whatever the caller says that it is.
    assert not set(told.values()) & {"$context.path", "$context.requestId", "$context.customDomain.basePathMatched"}
    assert DOCUMENT["Resources"]["AccessLogs"]["Condition"] == condition


def test_the_url_is_the_public_one_or_api_gateways_own_without_a_slash_at_its_end() -> None:
    condition, own, given = DOCUMENT["Outputs"]["Url"]["Value"]["Fn::If"]

    assert (condition, given) == ("HasNoPublicUrl", {"Ref": "PublicUrl"})
    assert own["Fn::Sub"].endswith(".${AWS::URLSuffix}/${RestAPI.Stage}")
