from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.definition import OnFailure, ResourceClass, StepSpec, StepType
from chalicelib.domain.retry import Backoff, RetryPolicy
from chalicelib.domain.step_fields import FIELDS, LONGEST_WAIT, TYPES
from chalicelib.domain.step_list import compile_steps, show_steps
from chalicelib.domain.value import Json
from tests.domain.graphs import a_graph, a_node, compiled
from tests.domain.step_lists import LEAST, a_list_step, compiled_step, step_problems

MONTH = 2_592_000


def deep(levels: int) -> Json:
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("step_type", TYPES)
def test_each_type_compiles_with_its_least(step_type: StepType) -> None:
    spec = compiled_step(step_type)
    assert (spec.type, spec.ref, spec.name) == (step_type, "s", "s")


def test_a_step_that_says_nothing_is_a_job_of_the_kind_that_it_is_called() -> None:
    (spec,) = compile_steps([{"step_ref": "charge"}]).steps.values()
    assert spec == StepSpec(
        ref="charge",
        name="charge",
        type=StepType.JOB,
        config={"jobId": "charge", "payload": None},
        retry=RetryPolicy(limit=0, delay=timedelta(seconds=1), longest=timedelta(hours=1)),
    )


def test_null_says_nothing() -> None:
    silent: dict[str, Json] = dict.fromkeys(name for name, field in FIELDS.items() if not field.required)
    assert compile_steps([{**silent, "step_ref": "s"}]) == compile_steps([{"step_ref": "s"}])


@pytest.mark.parametrize(
    ("step_type", "fields", "config"),
    [
        ("job", {"job_id": "resize", "payload": {"a": "{{ payload.x }}"}}, {"jobId": "resize"}),
        ("approval", {}, {"approvers": ["ann"], "timeout": f"{MONTH} seconds"}),
        ("approval", {"approval_timeout_secs": 0}, {"approvers": ["ann"], "timeout": f"{MONTH} seconds"}),
        (
            "approval",
            {"approval_timeout_secs": 90, "payload": {"message": "Pay?"}, "forbid_self_approval": True},
            {"approvers": ["ann"], "timeout": "90 seconds", "message": "Pay?", "forbidSelfApproval": True},
        ),
        ("approval", {"forbid_self_approval": False}, {"approvers": ["ann"], "timeout": f"{MONTH} seconds"}),
        ("sub_workflow", {"payload": [1]}, {"workflowId": "wf_1", "input": [1], "maxNestingDepth": 10}),
        ("sub_workflow", {"max_nesting_depth": 3, "timeout_secs_override": 5}, {"timeout": "5 seconds"}),
        ("wait_for_event", {}, {"eventKey": "paid", "timeout": "3600 seconds"}),
        ("wait_for_event", {"event_timeout_secs": 7, "payload": {}}, {"eventKey": "paid", "timeout": "7 seconds"}),
        ("sleep", {}, {"duration": "60 seconds"}),
        ("transform", {"payload": None}, {"value": None}),
        ("transform", {"payload": {"a": ["{{ payload.x }}"]}}, {"value": {"a": ["{{ payload.x }}"]}}),
        ("http_request", {}, {"method": "GET", "url": "https://example.com"}),
        ("lambda", {}, {"functionName": "f"}),
        ("agent", {}, {"role": "custom", "cliId": "claude", "prompt": "Fix {{ payload.issue }}"}),
        ("agent", {"payload": {"personaId": "p", "prompt": "x"}}, {"personaId": "p", "prompt": "x"}),
    ],
)
def test_a_types_own_fields_become_its_configuration(
    step_type: str, fields: dict[str, Json], config: dict[str, Json]
) -> None:
    found = compiled_step(step_type, **fields).config
    assert {name: found.get(name) for name in config} == config
    if step_type not in {"job", "sub_workflow"}:
        assert found == config


def test_a_sub_workflow_is_waited_for_and_its_time_out_is_that_of_the_wait() -> None:
    spec = compiled_step("sub_workflow", timeout_secs_override=LONGEST_WAIT)
    assert spec.config["waitForCompletion"] is True
    assert spec.config["timeout"] == f"{MONTH} seconds"
    assert spec.timeout is None


def test_what_all_steps_have_is_read() -> None:
    spec = compiled_step(
        on_failure="continue",
        retry_max_attempts=3,
        retry_backoff="fixed",
        retry_initial_delay_secs=5,
        retry_max_delay_secs=60,
        timeout_secs_override=90,
        concurrency_key="gpu",
        resource_class="large",
        event_emit_key="done-{{ payload.id }}",
        output_transform={"n": "{{ output.n }}"},
    )
    assert spec.on_failure is OnFailure.CONTINUE
    assert spec.retry == RetryPolicy(
        limit=3, delay=timedelta(seconds=5), backoff=Backoff.CONSTANT, longest=timedelta(minutes=1)
    )
    assert spec.timeout == timedelta(seconds=90)
    assert (spec.concurrency_key, spec.resource_class) == ("gpu", ResourceClass.LARGE)
    assert (spec.emit_key, spec.output_transform) == ("done-{{ payload.id }}", {"n": "{{ output.n }}"})


def test_a_request_is_not_retried_unless_it_says_so() -> None:
    assert compiled_step("http_request").retry.limit == 0


def test_what_a_client_sends_without_saying_anything_counts_as_not_given() -> None:
    said: dict[str, Json] = {"step_ref": "s", "step_type": "transform", "payload": 0}
    nothing: dict[str, Json] = {
        "job_id": "",
        "approval_approvers": [],
        "event_timeout_secs": 0,
        "forbid_self_approval": False,
    }
    everything: dict[str, Json] = {name: nothing.get(name) for name in FIELDS} | {
        "timeout_secs_override": 0,
        "concurrency_key": "",
    }
    assert compile_steps([{**everything, **nothing, **said}]) == compile_steps([said])


@pytest.mark.parametrize("ref", ["a", "_", "A-b_9", "x" * 128, "true", "output"])
def test_a_ref_is_any_word_of_the_grammar(ref: str) -> None:
    assert list(compile_steps([{"step_ref": ref}]).steps) == [ref]


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        *(({"step_ref": bad}, "step_ref", "1 to 128") for bad in ("", "1a", "-a", "a.b", "a b", "x" * 129, "é", "a\n")),
        ({"step_ref": 7}, "step_ref", "1 to 128"),
        ({"step_ref": []}, "step_ref", "1 to 128"),
        *(
            ({"step_ref": taken}, "step_ref", "already means something")
            for taken in ("event", "payload", "steps", "run", "error")
        ),
        *(({"step_type": bad}, "step_type", "must be one of job, approval") for bad in ("loop", "agents", " ")),
        ({"step_type": ["job"]}, "step_type", "must be one of job, approval"),
        ({"step_type": 5}, "step_type", "must be one of job, approval"),
        ({"colour": 1}, "colour", 'no field "colour"; the fields here are step_ref'),
        ({"name": "x"}, "name", 'no field "name"'),
        (
            {"sleep_duration_secs": 5},
            "sleep_duration_secs",
            "belongs to steps of type sleep, and this one is of type job",
        ),
        ({"event_key": "x"}, "event_key", "belongs to steps of type wait_for_event"),
        ({"on_failure": "retry"}, "on_failure", "fail_workflow, skip_dependents, continue"),
        ({"on_failure": ["continue"]}, "on_failure", "fail_workflow, skip_dependents, continue"),
        ({"payload": deep(70)}, "payload", "64 levels deep"),
        ({"output_transform": deep(5000)}, "output_transform", "64 levels deep"),
        ({"condition": {"exists": deep(70)}}, "condition", "64 levels deep"),
        *(({"retry_max_attempts": bad}, "retry_max_attempts", "from 0 to 100") for bad in (-1, 101, 1.5, True)),
        ({"retry_max_attempts": "3"}, "retry_max_attempts", "from 0 to 100"),
        ({"retry_backoff": "linear"}, "retry_backoff", "exponential, fixed"),
        *(
            ({f"retry_{which}_delay_secs": bad}, f"retry_{which}_delay_secs", "from 1 to 86400 (seconds)")
            for which in ("initial", "max")
            for bad in (-1, 86401)
        ),
        ({"timeout_secs_override": -1}, "timeout_secs_override", "from 1 to 2592000"),
        ({"timeout_secs_override": 2_592_001}, "timeout_secs_override", "from 1 to 2592000"),
        *(({"concurrency_key": bad}, "concurrency_key", "1 to 128 characters") for bad in (" ", "x" * 129, "a\x00")),
        ({"concurrency_key": 5}, "concurrency_key", "1 to 128 characters"),
        ({"concurrency_key": "{{ payload.x }}"}, "concurrency_key", "cannot hold a template"),
        ({"resource_class": "huge"}, "resource_class", "small, medium, large"),
        ({"event_emit_key": "x" * 513}, "event_emit_key", "1 to 512 characters"),
        ({"job_id": " "}, "job_id", "1 to 255 characters"),
        ({"job_id": "{{ payload.x }}"}, "job_id", "cannot hold a template"),
    ],
)
def test_a_bad_field_is_refused(fields: dict[str, Json], path: str, message: str) -> None:
    (detail,) = step_problems({**a_list_step("s"), **fields})
    assert detail.path == f"steps.0.{path}"
    assert message in detail.message


@pytest.mark.parametrize(
    ("step_type", "fields", "path", "message"),
    [
        ("approval", {"approval_approvers": None}, "approval_approvers", "is required in a step of type approval"),
        ("approval", {"approval_approvers": []}, "approval_approvers", "1 to 100 keys"),
        ("approval", {"approval_approvers": "ann"}, "approval_approvers", "1 to 100 keys"),
        ("approval", {"approval_approvers": ["ann", 5]}, "approval_approvers.1", "must be text"),
        ("approval", {"approval_timeout_secs": 2_592_001}, "approval_timeout_secs", "from 0 to 2592000"),
        ("approval", {"forbid_self_approval": "yes"}, "forbid_self_approval", "true or false"),
        ("approval", {"payload": {"message": 5}}, "payload.message", "must be text"),
        ("approval", {"payload": {"question": "x"}}, "payload.question", "the fields here are message"),
        ("approval", {"payload": "Pay?"}, "payload", "is an object"),
        ("approval", {"timeout_secs_override": 5}, "timeout_secs_override", "which has approval_timeout_secs"),
        ("approval", {"job_id": "x"}, "job_id", "belongs to steps of type job"),
        ("sub_workflow", {"sub_workflow_id": None}, "sub_workflow_id", "is required in a step of type sub_workflow"),
        ("sub_workflow", {"max_nesting_depth": -1}, "max_nesting_depth", "from 1 to 10"),
        ("sub_workflow", {"max_nesting_depth": 11}, "max_nesting_depth", "from 1 to 10"),
        ("wait_for_event", {"event_key": None}, "event_key", "is required in a step of type wait_for_event"),
        ("wait_for_event", {"event_key": "x" * 513}, "event_key", "1 to 512 characters"),
        ("wait_for_event", {"event_key": "a\nb"}, "event_key", "none that cannot be seen"),
        ("wait_for_event", {"event_timeout_secs": 2_592_001}, "event_timeout_secs", "from 1 to 2592000"),
        ("wait_for_event", {"timeout_secs_override": 5}, "timeout_secs_override", "which has event_timeout_secs"),
        ("wait_for_event", {"payload": {"x": 1}}, "payload.x", "there are no fields here"),
        ("sleep", {"sleep_duration_secs": None}, "sleep_duration_secs", "is required in a step of type sleep"),
        ("sleep", {"sleep_duration_secs": 2_592_001}, "sleep_duration_secs", "from 1 to 2592000"),
        ("sleep", {"payload": 5}, "payload", "is an object"),
        ("http_request", {"payload": None}, "payload", "is an object of its fields"),
        ("http_request", {"payload": {"method": "GET"}}, "payload.url", "url is required"),
        ("http_request", {"payload": {"method": "GET", "url": "ftp://x"}}, "payload.url", "http:// or https://"),
        ("http_request", {"timeout_secs_override": 421}, "timeout_secs_override", "420 seconds at most"),
        (
            "lambda",
            {"payload": {"functionName": "f", "x": 1}},
            "payload.x",
            "the fields here are functionName, payload",
        ),
        ("lambda", {"timeout_secs_override": 421}, "timeout_secs_override", "420 seconds at most"),
        ("transform", {"timeout_secs_override": 5}, "timeout_secs_override", "and this one is of type transform"),
        ("agent", {"timeout_secs_override": 5}, "timeout_secs_override", "which has timeoutMs in its payload"),
        ("agent", {"payload": None}, "payload", "is an object of its fields"),
        ("agent", {"payload": {"cliId": "pi"}}, "payload.prompt", "prompt is required"),
        ("agent", {"payload": {"cliId": "pi", "prompt": "x", "before": []}}, "payload.before", "the fields here are"),
    ],
)
def test_a_bad_field_of_a_type_is_refused(step_type: str, fields: dict[str, Json], path: str, message: str) -> None:
    (detail,) = step_problems(a_list_step("s", step_type, **fields))
    assert detail.path == f"steps.0.{path}"
    assert message in detail.message


def test_a_transform_without_a_payload_is_refused() -> None:
    (detail,) = step_problems({"step_ref": "s", "step_type": "transform"})
    assert (detail.path, detail.message[:19]) == ("steps.0.payload", "payload is required")


@pytest.mark.parametrize("step_type", LEAST)
@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.of])
def test_each_type_has_its_own_fields_and_no_others(step_type: str, name: str) -> None:
    values: dict[str, Json] = {
        "approval_approvers": ["ann"],
        "forbid_self_approval": True,
        "job_id": "x",
        "sub_workflow_id": "wf",
        "event_key": "x",
    }
    steps: list[Json] = [a_list_step("s", step_type, **{name: values.get(name, 5)})]
    if step_type in FIELDS[name].of:
        assert compile_steps(steps).steps["s"].type == step_type
    else:
        (detail,) = step_problems(*steps)
        assert detail.path == f"steps.0.{name}"


def test_a_graphs_steps_are_shown_as_far_as_they_can_be_said() -> None:
    nodes = [a_node("a", "http_request", config={"timeout": 20}), a_node("l", "loop"), a_node("b"), a_node("c")]
    shown = show_steps(compiled(a_graph(nodes, ["a l", "l b body", "l c then"])))
    assert {str(step["step_ref"]): step["depends_on"] for step in shown} == {
        "a": [],
        "l": ["a"],
        "b": ["l"],
        "c": ["l"],
    }
    assert shown[0] == {
        "step_ref": "a",
        "step_type": "http_request",
        "depends_on": [],
        "on_failure": "fail_workflow",
        "payload": {"method": "GET", "url": "https://example.com"},
        "retry_max_attempts": 5,
        "timeout_secs_override": 20,
    }
