"""The related tab of a workflow: what its runs have to do with."""

from __future__ import annotations

from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.surface import Data, Identified, IdQuery, Shown, Time, api
from chalicelib.domain.access import Scope
from chalicelib.domain.persona import Role
from chalicelib.services import related


class RelatedPersona(Identified):
    """A persona that agents of the workflow's runs were."""

    #: As it is called now.
    name: str | None
    type: Role | None
    runs: int
    last_run_at: Time


class RelatedIssue(Shown):
    """Something wrong that agents have reported."""

    title: str
    #: As it was reported last.
    severity: str | None
    runs: int
    last_seen_at: Time


class LearningVersion(Shown):
    """What agents have learned; another text under the same title is another version."""

    title: str
    body: str | None
    #: Its place among those of its title, from 1.
    version: int | None
    runs: int
    last_seen_at: Time


class RelatedShown(Shown):
    """What a workflow's runs have to do with: of each kind the last hundred, the last met first."""

    personas: list[RelatedPersona]
    issues: list[RelatedIssue]
    learning_versions: list[LearningVersion]


@api.endpoint("GET", "/api/v1/workflows/related", scope=Scope.WORKFLOWS_READ, query=IdQuery)
def show_related(caller: Caller, query: IdQuery) -> Data[RelatedShown]:
    """Show the personas, issues and learnings that a workflow's runs have to do with, and how many runs each."""
    told = related.of_workflow(caller.project_id, query.id)
    shown = RelatedShown(
        personas=[
            RelatedPersona(
                id=one.name,
                also_id=one.name,
                name=known.name if known is not None else None,
                type=known.type if known is not None else None,
                runs=one.runs,
                last_run_at=one.last_at,
            )
            for one in told.personas
            for known in (told.people.get(one.name),)
        ],
        issues=[
            RelatedIssue(title=one.name, severity=one.severity, runs=one.runs, last_seen_at=one.last_at)
            for one in told.issues
        ],
        learning_versions=[
            LearningVersion(title=one.name, body=one.body, version=one.version, runs=one.runs, last_seen_at=one.last_at)
            for one in told.learnings
        ],
    )
    return Data[RelatedShown](data=shown)
