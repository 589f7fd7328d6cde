"""How the zip is made, on small ones; what is in the real one is `test_zip.py`'s."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from fnmatch import fnmatchcase
from importlib import metadata
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

import pytest

from infra import archive, dependencies, package
from infra.dependencies import Target
from infra.trouble import Trouble

HERE = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def a_folder(path: Path, **texts: str) -> Path:
    """Make a folder with files; two underscores stand for a slash, one before the suffix for a dot."""
    for name, text in texts.items():
        stem, _, suffix = name.replace("__", "/").rpartition("_")
        file = path / f"{stem}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


def test_the_same_files_make_the_same_bytes_whoever_checked_them_out_and_when(tmp_path: Path) -> None:
    one = a_folder(tmp_path / "one", app_py="1", lib__b_py="2", lib__a_py="3")
    other = a_folder(tmp_path / "other", lib__a_py="3", lib__b_py="2", app_py="1")
    (other / "app.py").chmod(0o600)
    os.utime(other / "lib" / "a.py", (1_500_000_000, 1_500_000_000))

    archive.write(tmp_path / "one.zip", one)
    archive.write(tmp_path / "other.zip", other)

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_every_file_may_be_read_by_lambdas_user(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "one", app_py="1")
    (folder / "app.py").chmod(0o600)

    archive.write(tmp_path / "one.zip", folder)

    with zipfile.ZipFile(tmp_path / "one.zip") as zipped:
        assert [oct(info.external_attr >> 16) for info in zipped.infolist()] == ["0o100644"]


def test_where_two_folders_have_a_file_of_one_name_the_last_ones_is_taken(tmp_path: Path) -> None:
    libraries, ours = a_folder(tmp_path / "libraries", app_py="theirs"), a_folder(tmp_path / "ours", app_py="ours")

    archive.write(tmp_path / "one.zip", libraries, ours)

    with zipfile.ZipFile(tmp_path / "one.zip") as zipped:
        assert {name: zipped.read(name) for name in zipped.namelist()} == {"app.py": b"ours"}


def test_a_zip_is_weighed_by_what_lies_at_its_top(tmp_path: Path) -> None:
    parts = {f"part{n}__a_py": "x" * n for n in range(1, 7)}
    archive.write(tmp_path / "one.zip", a_folder(tmp_path / "one", **parts, part6__b_py="x"))

    weight = archive.contents(tmp_path / "one.zip")

    assert weight.largest == [("part6", 7), ("part5", 5), ("part4", 4), ("part3", 3), ("part2", 2)]
    assert (weight.zipped, weight.unzipped) == ((tmp_path / "one.zip").stat().st_size, 22)


def test_bytecode_is_taken_as_it_is_and_does_not_depend_on_where_it_was_made(tmp_path: Path) -> None:
    source = "def first(one):\n    return one in {'a', 'b', 'c'}\n"
    folders = [a_folder(tmp_path / name, lib__a_py=source, lib__b_py=source) for name in ("one", "another")]
    for folder in folders:
        dependencies.compile_sources(folder)

    one, another = (Path(cache_from_source(str(folder / "lib" / "a.py"))).read_bytes() for folder in folders)
    assert one == another
    assert one[:8] == MAGIC_NUMBER + (1).to_bytes(4, "little")  # by hash, unchecked
    assert b"/var/task/lib/a.py" in one


def test_a_source_that_is_no_python_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="does not compile"):
        dependencies.compile_sources(a_folder(tmp_path, bad_py="def"))


def test_models_of_services_that_are_never_called_are_removed_and_what_all_share_stays(tmp_path: Path) -> None:
    folder = a_folder(
        tmp_path,
        bin__jp_py="",
        **{"six-1.17.0.dist-info__METADATA_txt": "", "botocore__client_py": "", "botocore__data__endpoints_json": "{}"},
        **{f"botocore__data__{name}__2020__service_json": "{}" for name in ("ec2", "s3", "dynamodb")},
    )
    (folder / "six-1.17.0.dist-info" / "RECORD").write_text("bin/jp.py,,\n")

    dependencies.trim(folder)

    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "six-1.17.0.dist-info/METADATA.txt",
        "botocore/client.py",
        "botocore/data/endpoints.json",
        "botocore/data/s3/2020/service.json",
        "botocore/data/dynamodb/2020/service.json",
    }


@pytest.mark.parametrize(
    ("python", "architecture", "newest"),
    [
        ((3, 11), "arm64", "manylinux_2_26_aarch64"),
        ((3, 12), "arm64", "manylinux_2_34_aarch64"),
        ((3, 13), "x86_64", "manylinux_2_34_x86_64"),
    ],
)
def test_wheels_are_those_that_the_runtimes_glibc_loads(
    python: tuple[int, int], architecture: str, newest: str
) -> None:
    names = dependencies.platforms(python, architecture)

    assert names[0] == newest
    assert names[-2].startswith("manylinux_2_17_")
    assert names[-1].startswith("manylinux2014_")


def test_bytecode_is_not_made_for_another_python() -> None:
    with pytest.raises(Trouble, match=r"^the functions run on python3\.99 and this is Python 3\.\d+: package with "):
        _ = Target(runtime="python3.99", architecture="arm64").python


def test_what_is_required_is_what_is_installed_with_all_that_it_requires_and_not_the_packager(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# What runs\naws-lambda-powertools[tracer]  # in threads\nchalice==1.0\n\n")

    found = [each.partition("==") for each in dependencies.versions(requirements, "arm64")]

    assert {name: version for name, _, version in found} == {
        name: metadata.version(name)
        for name in (
            *("aws-lambda-powertools", "jmespath", "typing-extensions"),
            *("aws-xray-sdk", "wrapt", "botocore", "python-dateutil", "six", "urllib3"),
        )
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no-such-library==1.0", "no-such-library==1.0 is not installed: make venv"),
        ("six==1.0", "six==1.0 is required, and 1.* installed: make venv"),
    ],
)
def test_what_is_required_and_not_installed_is_told_of(line: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(line)

    with pytest.raises(Trouble) as trouble:
        dependencies.versions(tmp_path / "requirements.txt", "arm64")

    assert fnmatchcase(str(trouble.value), f"{reason}*")


def test_a_wheel_that_is_missing_is_told_of_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("cronsim\n")

    with pytest.raises(Trouble) as trouble:
        dependencies.fetch(requirements, Target(runtime=HERE, architecture="arm64"), cache=tmp_path / "cache")

    version = metadata.version("cronsim")
    wanted = f"pip finds no wheels for {HERE} on arm64: No matching distribution found for cronsim=={version}"
    assert str(trouble.value) == wanted
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_app_that_cannot_be_imported_is_told_of_in_one_line(tmp_path: Path) -> None:
    project = a_folder(tmp_path / "project", app_py="raise ValueError('no app')", chalicelib____init___py="")
    (project / ".chalice").mkdir()
    shutil.copy(package.PROJECT / ".chalice" / "config.json", project / ".chalice")

    with pytest.raises(Trouble, match=r"^chalice package ended with \d+: .*no app"):
        package.package(tmp_path / "out", project=project)


def test_functions_that_ask_for_different_processors_have_no_zip_in_common(tmp_path: Path) -> None:
    functions = {
        name: {
            "Type": "AWS::Serverless::Function",
            "Properties": {"Runtime": HERE, "Architectures": [architecture]},
        }
        for name, architecture in {"Drive": "arm64", "Work": "x86_64"}.items()
    }
    sam = tmp_path / "sam.json"
    sam.write_text(json.dumps({"Resources": functions}))

    with pytest.raises(package.BadTemplate, match="more than one runtime"):
        package.target_of(sam)
