from __future__ import annotations

from pathlib import Path

import pytest

from infra import template


def test_short_forms_are_written_out_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "part.json").write_text('{"StartAt": "A"}')
    file = tmp_path / "t.yaml"
    file.write_text("a: !Sub ['${x}', {x: !GetAtt Table.Arn}]\nb: !Include part.json\nc: [!Ref Color]\n")

    assert template.load(file) == {
        "a": {"Fn::Sub": ["${x}", {"x": {"Fn::GetAtt": ["Table", "Arn"]}}]},
        "b": {"StartAt": "A"},
        "c": [{"Ref": "Color"}],
    }


def test_a_template_in_parts_is_one_and_says_nothing_twice(tmp_path: Path) -> None:
    one, two, three = tmp_path / "1.yaml", tmp_path / "2.yaml", tmp_path / "3.yaml"
    one.write_text("Resources: {A: 1, B: 2}\nOutputs: {O: 1}\n")
    two.write_text("Resources: {C: 3}\n")
    three.write_text("Resources: {B: 4}\n")

    assert template.load(one, two) == {"Resources": {"A": 1, "B": 2, "C": 3}, "Outputs": {"O": 1}}
    with pytest.raises(ValueError, match=r"3\.yaml has B once more"):
        template.load(one, two, three)


def test_the_state_machine_of_the_template_is_the_file_beside_it() -> None:
    definition = template.load()["Resources"]["Park"]["Properties"]["Definition"]

    assert definition["StartAt"] == "HoldUntilWoken"
    assert list(definition["States"]) == ["HoldUntilWoken", "Drive"]


@pytest.mark.parametrize("function", ["Drive", "Work"])
def test_whoever_starts_agents_knows_where_they_are_to_report(function: str) -> None:
    variables = template.load()["Resources"][function]["Properties"]["Environment"]["Variables"]

    condition, own, given = variables["STEPWELL_PUBLIC_URL"]["Fn::If"]
    assert (condition, given) == ("HasNoPublicUrl", {"Ref": "PublicUrl"})
    assert own["Fn::Sub"].endswith(".${AWS::URLSuffix}/${RestAPI.Stage}")
