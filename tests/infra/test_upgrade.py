from __future__ import annotations

from infra import upgrade

TEXT = "# Why.\n-r requirements.txt\nmoto[server,s3]==5.2.5\nruff==0.17.6\n"


def test_what_is_pinned_is_asked_for_with_its_extras() -> None:
    assert upgrade.names(TEXT) == ["moto[server,s3]", "ruff"]


def test_only_the_versions_change() -> None:
    changed = upgrade.pinned(TEXT, {"moto": "6.0.0", "ruff": "1.0.0"})

    assert changed == "# Why.\n-r requirements.txt\nmoto[server,s3]==6.0.0\nruff==1.0.0\n"


def test_every_line_of_the_requirements_is_pinned() -> None:
    for file in upgrade.FILES:
        lines = (upgrade.PROJECT / file).read_text().splitlines()
        wanted = [line for line in lines if line and not line.startswith(("#", "-r "))]
        assert len(upgrade.names("\n".join(wanted))) == len(wanted)
