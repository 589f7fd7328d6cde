"""Functions at their own URL."""

from __future__ import annotations

from datetime import datetime

from chalicelib import logs
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.value import Json
from chalicelib.services import deployments, scripts


class FunctionFailed(Exception):
    """The function failed; the message is the failing node's."""


def call(token: str, body: Json, now: datetime) -> Json:
    """Return what the function with this token in its URL answers; NotFound where there is none."""
    deployment = deployments.by_token(token)
    logs.carry(project_id=deployment.project_id, workflow_id=deployment.workflow_id)
    try:
        return scripts.run(deployment, body, now=now)
    except scripts.ScriptFailed as error:
        raise FunctionFailed(error.message) from error
    except Refusal as refused:
        raise FunctionFailed(refused.message) from refused
