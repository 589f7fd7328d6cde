"""Checks of the fields of an agent step, the same in a graph, a step list, and a pipeline."""

from __future__ import annotations

import re
from typing import Final

from chalicelib.domain.field_checks import exact_line, line, long_text, number, one_of, whole_number
from chalicelib.domain.graph_checks import has_template
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.persona import Effort, Role, Tool
from chalicelib.domain.value import Json

LONGEST_INSTRUCTIONS: Final = 50_000
MOST_IMAGES: Final = 16
#: In milliseconds.
LONGEST_TIMEOUT: Final = 86_400_000
#: What a sandbox may be given at most; see ``sandbox`` for what there is.
MOST_MEMORY: Final = 122_880
MOST_CPUS: Final = 16

_TEMPLATE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
#: No name and no password before the host, nor what some would read as such: what is saved is shown to whoever may read
#: the workflow. A name in another alphabet is written in punycode.
_REPOSITORY = re.compile(r"https://[A-Za-z0-9._-]+(?::[0-9]{1,5})?(?:[/?#][^\s\\\x00-\x1f\x7f-\x9f]*)?", re.ASCII)
_LONGEST_URL = 2_000
#: What ``is_repository`` asks for.
REPOSITORY_RULE: Final = (
    f"a repository is an address of at most {_LONGEST_URL} characters that begins with https:// "
    "and holds no user name or password"
)
_A_LINE = line(255)

tool = one_of(Tool)
role = one_of(Role)
effort = one_of(Effort)
model = exact_line(100)
persona_id = exact_line(255)
instructions = long_text(LONGEST_INSTRUCTIONS)
branch_name = _A_LINE
timeout_ms = whole_number(1_000, LONGEST_TIMEOUT, of=" (milliseconds)")
memory_mb = whole_number(256, MOST_MEMORY)
cpu_count = number(0.25, MOST_CPUS)


def template_id(value: Json, place: Place) -> None:
    """Want the name of a kind of sandbox."""
    if not isinstance(value, str) or _TEMPLATE_ID.fullmatch(value) is None:
        place.refuse("a templateId is 1 to 64 of the characters A-Z a-z 0-9 _ -")


def repository(value: Json, place: Place) -> None:
    """Want an https address without a name or password in it; a template may stand for any part of it."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_URL or not _may_be_repository(value):
        place.refuse(REPOSITORY_RULE)


def is_repository(text: str) -> bool:
    """Whether a text is an https address without a name or password in it, and no template stands for any part."""
    return 0 < len(text) <= _LONGEST_URL and _REPOSITORY.fullmatch(text) is not None


def images(value: Json, place: Place) -> None:
    """Want a list of uploaded files' ids, or a template of one."""
    if has_template(value):
        return
    if not isinstance(value, list | tuple) or len(value) > MOST_IMAGES:
        place.refuse(f"this must be a list of at most {MOST_IMAGES} files, by storageId")
        return
    for at, one in enumerate(value):
        _A_LINE(one, place.at(at))


def _may_be_repository(text: str) -> bool:
    """Whether a text is such an address, or may come to be one when its templates are rendered."""
    if not has_template(text):
        return _REPOSITORY.fullmatch(text) is not None
    before, scheme = text.split("{{", 1)[0], "https://"
    return before.startswith(scheme) or scheme.startswith(before)
