"""What agents call from their sandboxes. The token that each is given is the credential; no API key opens this.

Whether the token is good is looked at before anything that the sandbox sends, so that a refusal can be put on record.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from chalicelib.api.bodies import AnyJson, Body
from chalicelib.api.endpoints import Unread
from chalicelib.api.requests import Call
from chalicelib.api.workflows_api.surface import Data, Shown, api
from chalicelib.domain.agent_report import NANO, AgentReport, Verdict
from chalicelib.domain.related import Issue, Learning
from chalicelib.services import agents

#: No name and no password before the host: it is shown to whoever may read the run.
_LINK: Final = re.compile(r"https://[^\s/?#@\\]+(?:[/?#][^\s\\]*)?")
#: What an agent's failure is called if it does not say.
_FAILED: Final = "agent_failed"


def _link(text: str) -> str:
    if not _LINK.fullmatch(text):
        raise ValueError("must be an https address without a user name in it")
    return text


def _on_one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be on one line, with nothing in it that cannot be seen")
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Link = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_link)]
Branch = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_on_one_line)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_said)]
Tokens = Annotated[int, Field(ge=0, le=10**12)]
Tail = Annotated[str, StringConstraints(max_length=100_000)]


class UsageBody(Body):
    """What the agent has used of its model."""

    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    #: Exact to a billionth.
    cost_usd: Annotated[float, Field(ge=0, le=10**6)] = 0


class IssueBody(Body):
    """Something wrong that the agent has found."""

    title: Title
    #: In its own words.
    severity: Annotated[str, StringConstraints(min_length=1, max_length=50), AfterValidator(_said)]


class LearningBody(Body):
    """Something that the agent has learned."""

    title: Title
    body: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class ReportBody(Body):
    """What the agent has made; it becomes its step's output."""

    #: Any JSON value.
    output: AnyJson
    #: A checker's; of it a report is refused without one.
    verdict: Annotated[Verdict, Field(strict=False)] | None = None
    #: What is to be done better, for the steps of the next iteration.
    feedback: str | None = None
    branch_name: Branch | None = None
    pr_url: Link | None = None
    usage: UsageBody | None = None
    issues: Annotated[list[IssueBody], Field(max_length=50)] | None = None
    learnings: Annotated[list[LearningBody], Field(max_length=50)] | None = None

    def report(self) -> AgentReport:
        """Return the report."""
        usage = self.usage or UsageBody()
        return AgentReport(
            output=self.output,
            verdict=self.verdict,
            feedback=self.feedback,
            branch_name=self.branch_name,
            pr_url=self.pr_url,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_nano_usd=int((Decimal(str(usage.cost_usd)) * NANO).to_integral_value()),
            issues=tuple(Issue(title=one.title, severity=one.severity) for one in self.issues or ()),
            learnings=tuple(Learning(title=one.title, body=one.body) for one in self.learnings or ()),
        )


class HeartbeatBody(Body):
    """That the agent is at work."""

    #: What it has last printed; the last 4 KB are kept.
    tail: Tail | None = None


class FailBody(Body):
    """Why the agent came to nothing."""

    #: For machines; ``agent_failed`` if nothing is said.
    code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    message: Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_said)]
    #: What it has last printed; that of its last heartbeat if nothing is said.
    tail: Tail | None = None


class TakenShown(Shown):
    """That what the agent said is recorded."""

    accepted: bool = True


class BeatShown(Shown):
    """Whether the agent is to go on."""

    goes_on: Annotated[bool, Field(serialization_alias="continue")] = True


@api.endpoint("POST", "/api/v1/agents/{ticket_id}/report", public=True, guarded=True, body=ReportBody)
def report_agent(call: Call, ticket_id: str, body: Unread[ReportBody]) -> Data[TakenShown]:
    """Report what an agent has made, at most 1 MB of JSON.

    The same report again is answered the same. 409 once another is there, or nobody waits for it any more.
    """
    with agents.speaking(_call(call, ticket_id, "report")) as ticket:
        agents.report(ticket, body().report(), now=call.now)
    return Data(data=TakenShown())


@api.endpoint("POST", "/api/v1/agents/{ticket_id}/heartbeat", public=True, guarded=True, body=HeartbeatBody)
def keep_agent(call: Call, ticket_id: str, body: Unread[HeartbeatBody]) -> Data[BeatShown]:
    """Say that an agent is at work: it is lost two minutes after the last time, or five after its start.

    409 once nobody waits for it any more: then it is to end itself.
    """
    with agents.speaking(_call(call, ticket_id, "heartbeat")) as ticket:
        agents.heartbeat(ticket, tail=body().tail, now=call.now)
    return Data(data=BeatShown())


@api.endpoint("POST", "/api/v1/agents/{ticket_id}/fail", public=True, guarded=True, body=FailBody)
def fail_agent(call: Call, ticket_id: str, body: Unread[FailBody]) -> Data[TakenShown]:
    """Report that an agent came to nothing: its step fails with the code, the message and the tail.

    The same again is answered the same. 409 once another word of it is there, or nobody waits for it any more.
    """
    with agents.speaking(_call(call, ticket_id, "fail")) as ticket:
        said = body()
        agents.fail(ticket, code=said.code or _FAILED, message=said.message, tail=said.tail, now=call.now)
    return Data(data=TakenShown())


def _call(call: Call, ticket_id: str, command: str) -> agents.Call:
    return agents.Call(
        ticket_id=ticket_id,
        authorization=call.authorization,
        command=command,
        request_id=call.request_id,
        now=call.now,
    )
