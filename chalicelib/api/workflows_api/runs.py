"""Runs in the workflows API, as they are started: with a prompt for their agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints

from chalicelib.api.bodies import AnyJson, Body, Parameters
from chalicelib.api.endpoints import Reply
from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.surface import Data, Id, Shown, api, visible
from chalicelib.domain import agent_checks
from chalicelib.domain.access import Scope
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.idempotency import Once, request_digest
from chalicelib.domain.pipeline_fields import read_config
from chalicelib.domain.refusal import Invalid
from chalicelib.domain.run import RunStatus
from chalicelib.domain.value import Json
from chalicelib.services import pipeline_starts
from chalicelib.services.pipeline_starts import START, Wanted

LONGEST_PROMPT: Final = 100_000


def _key(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be 1 to 255 visible ASCII characters")
    return text


def _repository(url: str) -> str:
    if not agent_checks.is_repository(url):
        raise ValueError("must be an address that begins with https:// and holds no user name or password")
    return url


def _branch(name: str) -> str:
    place = Place()
    agent_checks.branch_name(name, place)
    if place.details:
        raise ValueError("must be text on one line")
    return name


def _each_once(ids: list[str]) -> list[str]:
    if len(set(ids)) < len(ids):
        raise ValueError("must name each image once")
    return ids


class StartRun(Body):
    """What to start, and what its agents are given."""

    workflow_id: Id
    #: What the agents are to do.
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PROMPT), AfterValidator(visible)]
    #: What they work on: an https address.
    github_repo_url: Annotated[str, StringConstraints(max_length=2000), AfterValidator(_repository)] | None = None
    branch_name: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_branch)] | None = None
    #: In place of the workflow's `defaultConfig`, field by field.
    config: dict[str, AnyJson] | None = None
    #: Uploaded images that are ready, by `storageId`.
    reference_image_ids: (
        Annotated[list[Id], Field(max_length=agent_checks.MOST_IMAGES), AfterValidator(_each_once)] | None
    ) = None


class StartHeaders(Parameters):
    """The header that matters to a start."""

    idempotency_key: Annotated[
        str | None, Field(alias="idempotency-key", min_length=1, max_length=255), AfterValidator(_key)
    ] = None


class Started(Shown):
    """A run as it was started."""

    run_id: str
    #: Its place among its workflow's runs, from 1.
    run_number: int | None
    status: RunStatus = RunStatus.PENDING


@api.endpoint(
    "POST",
    "/api/v1/runs/start",
    scope=Scope.RUNS_TRIGGER,
    status=201,
    body=StartRun,
    headers=StartHeaders,
)
def start_run(caller: Caller, body: StartRun, headers: StartHeaders) -> Reply[Data[Started]]:
    """Start a run of a workflow's newest version.

    409 where the workflow is deleted or disabled, or a step names a persona that is; 400 by name for an image that is
    not ready. The same request sent again with its `Idempotency-Key` starts nothing and is answered the same.
    """
    wanted = Wanted(
        prompt=body.prompt,
        github_repo_url=body.github_repo_url,
        branch_name=body.branch_name,
        config=_config(body.config),
        reference_image_ids=body.reference_image_ids or (),
    )
    triggered = pipeline_starts.start(
        caller.project_id,
        body.workflow_id,
        wanted,
        actor=caller.actor,
        once=_once(body, headers),
        now=caller.now,
    )
    started = Started(run_id=triggered.run.id, run_number=triggered.run.number)
    replayed = {"Idempotency-Replayed": "true"} if triggered.replayed and headers.idempotency_key is not None else {}
    return Reply(body=Data[Started](data=started), headers=replayed)


def _config(given: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
    """Return a run's config, or refuse it with each of its faults, as those of a workflow's defaults are."""
    if given is None:
        return None
    place = Place().at("config")
    config = read_config(given, place)
    if place.details:
        first = place.details[0]
        raise Invalid(f"{first.path}: {first.message}", field=first.path, details=tuple(place.details))
    return config


def _once(body: StartRun, headers: StartHeaders) -> Once | None:
    if headers.idempotency_key is None:
        return None
    sent: dict[str, Any] = body.model_dump(mode="json")
    return Once(scope=START, key=headers.idempotency_key, request_digest=request_digest(sent))
