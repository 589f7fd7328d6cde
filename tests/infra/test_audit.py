"""What checkov finds is held against the list, and the list against what it finds."""

from __future__ import annotations

import pytest
import yaml

from infra import audit, template
from infra.trouble import Trouble

LISTED = {
    "by_default": {"CKV_1": {"resources": ["Table"], "reason": "a parameter mends it"}},
    "always": {"CKV_2": {"resources": ["Table", "Bucket"], "reason": "it would help nobody"}},
}
EXPECTED = {
    ("CKV_1", "Table", "default"),
    *(("CKV_2", resource, look) for resource in ("Table", "Bucket") for look in ("default", "hardened")),
}


def test_what_is_found_and_listed_is_no_complaint() -> None:
    assert audit.complaints(EXPECTED, LISTED) == []


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (EXPECTED | {("CKV_2", "Queue", "default")}, "Queue fails CKV_2 (default)"),
        (EXPECTED | {("CKV_1", "Table", "hardened")}, "Table fails CKV_1 (hardened)"),
        (EXPECTED - {("CKV_1", "Table", "default")}, "Table does not fail CKV_1 (default): off the list"),
        (EXPECTED - {("CKV_2", "Bucket", "hardened")}, "Bucket does not fail CKV_2 (hardened): off the list"),
    ],
)
def test_what_is_not_on_the_list_and_what_should_be_off_it_is_told(found: set[audit.Finding], complaint: str) -> None:
    assert audit.complaints(found, LISTED) == [complaint]


@pytest.mark.parametrize("entry", [{"resources": ["A"]}, {"resources": ["A"], "reason": " "}, {"reason": "r"}])
def test_an_entry_without_a_reason_or_a_resource_is_trouble(entry: template.Node) -> None:
    with pytest.raises(Trouble, match="always CKV_3 needs resources and a reason"):
        audit.skipped({"always": {"CKV_3": entry}})


def test_a_template_that_checkov_could_not_read_is_trouble() -> None:
    empty = {"summary": {"parsing_errors": 0, "passed": 0}, "results": {"failed_checks": []}}

    with pytest.raises(Trouble):
        list(audit.findings(empty))


def test_every_parameter_that_hardens_is_one_of_the_template() -> None:
    assert audit.HARDENED.keys() <= template.load()["Parameters"].keys()
    assert yaml.safe_load(audit.SKIPS.read_text()).keys() == audit.SECTIONS.keys()
