"""The ids that Stepwell hands out, and which texts can be one at all."""

from __future__ import annotations

import re
import uuid
from typing import Final

from chalicelib.domain.refusal import NotFound

#: Nothing with another form is ever stored, so that what separates the parts of a key cannot be smuggled into one.
FORM: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


def known_form(text: str, noun: str) -> str:
    """Return the text if it can be an id, else refuse it as the id of no such object."""
    if not FORM.fullmatch(text):
        raise NotFound(f"{noun} not found")
    return text


def workflow_id(derived: str | None = None) -> str:
    """Return a new workflow's id; of a UUID that its request leads to, if it has one, so that it can be made again."""
    return f"wf_{(uuid.uuid4() if derived is None else uuid.UUID(derived)).hex}"


def file_id(derived: str | None = None) -> str:
    """Return a new file's id; of a UUID that its request leads to, if it has one, so that it can be made again."""
    return f"file_{(uuid.uuid4() if derived is None else uuid.UUID(derived)).hex}"


def persona_id(derived: str | None = None) -> str:
    """Return a new persona's id; of a UUID that its request leads to, if it has one, so that it can be made again."""
    return f"per_{(uuid.uuid4() if derived is None else uuid.UUID(derived)).hex}"


def connection_id() -> str:
    """Return a new connection's id."""
    return f"conn_{uuid.uuid4().hex}"


def deployment_id() -> str:
    """Return a new deployment's id."""
    return f"dep_{uuid.uuid4().hex}"


def version_id(derived: str | None = None) -> str:
    """Return a new version's id; of a UUID that its request leads to, if it has one, so that it is made once."""
    return f"wfv_{(uuid.uuid4() if derived is None else uuid.UUID(derived)).hex}"
