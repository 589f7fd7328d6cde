"""Conditions are decided as CloudFormation decides them."""

from __future__ import annotations

import pytest

from infra import conditions, template

DOCUMENT: template.Node = {
    "Parameters": {"Key": {"Default": ""}, "Count": {"Default": 0}, "Word": {}},
    "Conditions": {
        "HasKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Key"}, ""]}]},
        "Counts": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Count"}, "0"]}]},
        "Both": {"Fn::And": [{"Condition": "HasKey"}, {"Condition": "Counts"}]},
        "Either": {"Fn::Or": [{"Condition": "HasKey"}, {"Condition": "Counts"}]},
    },
    "Resources": {
        "Always": {
            "Properties": {
                "Key": {"Fn::If": ["HasKey", {"Ref": "Key"}, {"Ref": "AWS::NoValue"}]},
                "List": [1, {"Fn::If": ["Both", {"Fn::If": ["Counts", 2, 3]}, {"Ref": "AWS::NoValue"}]}],
                "Name": {"Ref": "Always"},
            }
        },
        "Sometimes": {"Condition": "Either", "Properties": {}},
    },
    "Outputs": {"Seldom": {"Condition": "Both", "Value": 1}},
}


@pytest.mark.parametrize(
    ("given", "properties", "resources", "outputs"),
    [
        ({}, {"List": [1], "Name": {"Ref": "Always"}}, {"Always"}, set()),
        ({"Count": "1"}, {"List": [1], "Name": {"Ref": "Always"}}, {"Always", "Sometimes"}, set()),
        (
            {"Key": "k", "Count": "1"},
            {"Key": {"Ref": "Key"}, "List": [1, 2], "Name": {"Ref": "Always"}},
            {"Always", "Sometimes"},
            {"Seldom"},
        ),
    ],
)
def test_a_template_keeps_what_its_conditions_let_be(
    given: dict[str, str], properties: template.Node, resources: set[str], outputs: set[str]
) -> None:
    settled = conditions.settled(DOCUMENT, given)

    assert settled["Resources"]["Always"] == {"Properties": properties}
    assert settled["Resources"].keys() == resources
    assert settled["Outputs"].keys() == outputs
    assert "Conditions" not in settled
    assert settled["Parameters"] == DOCUMENT["Parameters"]


def test_a_condition_on_anything_but_parameters_is_not_guessed_at() -> None:
    document = {"Conditions": {"InChina": {"Fn::Equals": [{"Ref": "AWS::Partition"}, "aws-cn"]}}}

    with pytest.raises(KeyError):
        conditions.settled(document, {})
