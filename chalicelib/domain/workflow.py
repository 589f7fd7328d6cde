"""The library's nouns: projects, workflows, their versions, deployments, and connections to AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chalicelib.domain.value import Value

#: Tags that a workflow or a run carries at most; a run's workflow's own are among them.
MOST_TAGS: Final = 20


class WorkflowKind(StrEnum):
    """Whether it has runs, or answers within the request."""

    WORKFLOW = "workflow"
    SCRIPT = "script"


@dataclass(frozen=True, kw_only=True)
class Project:
    """What owns everything else; a key belongs to one."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Connection:
    """An AWS account and region that steps act in."""

    id: str
    project_id: str
    name: str
    region: str
    #: The role that steps assume; none means Stepwell's own.
    role_arn: str | None = None
    #: What the role's trust policy asks for.
    external_id: str | None = None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class WorkflowSettings:
    """How a workflow's runs are started and bounded; part of each version."""

    #: Of a run; none is unlimited.
    timeout: timedelta | None = None
    #: Runs that have not ended, at once; 0 is unlimited.
    max_concurrent_runs: int = 0
    #: Steps of a run, running at once; 0 is unlimited.
    max_parallel_steps: int = 0
    #: When runs are started by themselves: five fields.
    cron: str | None = None
    #: The time zone that the five fields are meant in, by its IANA name.
    cron_timezone: str = "UTC"
    #: Whether a scheduled run is left out while another has not ended.
    skip_if_running: bool = False
    #: Whether runs may be started at all.
    enabled: bool = True
    #: What each run carries, unless whoever starts it says otherwise.
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What a list of workflows shows of the newest version, so that it need not read it."""

    step_count: int = 0
    #: The command-line agents of its steps, each once, in order.
    tools: tuple[str, ...] = ()
    #: The personas of its steps, by id, each once, in order.
    personas: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A named line of versions."""

    id: str
    project_id: str
    name: str
    description: str
    kind: WorkflowKind
    #: The newest version's number; 0 while there is none.
    current_version: int = 0
    created_at: datetime
    updated_at: datetime
    #: Set while it lies in the trash.
    deleted_at: datetime | None = None
    #: Of what lies in the trash: the version that was deployed on ``conn_default``, which is deployed again should the
    #: workflow come back.
    trashed_version: int | None = None
    #: Set once it is gone for good, and only what it is made of is still to be removed.
    purged_at: datetime | None = None
    #: Its name in URLs and code, unique in the project; none for one that the trigger API made.
    slug: str | None = None
    #: Those of its newest version.
    settings: WorkflowSettings = field(default_factory=WorkflowSettings)
    #: Of its newest version.
    outline: Outline = field(default_factory=Outline)
    #: When its schedule is due next; none without a schedule, while it is disabled, and in the trash.
    due_at: datetime | None = None
    #: What a function's answer is rendered from, as text with templates.
    trigger_code: str | None = None
    #: Counts the writes of the record; each is conditional on the one before.
    revision: int = 1


@dataclass(frozen=True, kw_only=True)
class WorkflowVersion:
    """One definition of a workflow. Once ``deployed`` it never changes."""

    id: str
    workflow_id: str
    number: int
    #: The source as its author sent it: a graph (``{"ir": …}``) or steps (``{"steps": …}``).
    source: Value
    deployed: bool = False
    created_by: str
    created_at: datetime
    updated_at: datetime
    #: The version whose content it repeats, if it came from a revert.
    restored_from: str | None = None
    #: What the workflow was called and described as then.
    name: str | None = None
    description: str | None = None
    #: What changed with it, in words.
    summary: str | None = None


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """That a version of a workflow can be triggered on a connection. One for each workflow and connection."""

    id: str
    project_id: str
    workflow_id: str
    connection_id: str
    version_id: str
    version: int
    kind: WorkflowKind
    #: What a function's URL token is derived from; a new one with each takedown and deployment anew.
    function_nonce: str | None = None
    #: Those of the version, so that starting a run reads nothing else.
    settings: WorkflowSettings = field(default_factory=WorkflowSettings)
    #: The personas of the version's steps, by id; the same for them.
    personas: tuple[str, ...] = ()
    created_by: str
    created_at: datetime
