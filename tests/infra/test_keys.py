"""`make key` on the running local stack, whose CloudFormation, SSM and DynamoDB are moto's."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import urllib3
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from mypy_boto3_dynamodb import DynamoDBClient

from chalicelib.domain.access import Scope
from chalicelib.services import authentication, keys, projects
from infra import keys as tool
from infra import stacks
from infra.local import LocalStack
from infra.stacks import Aws, Stack
from infra.trouble import Trouble
from tests.conftest import Project

Said = pytest.CaptureFixture[str]


@pytest.fixture
def stage(stack: LocalStack) -> str:
    return f"STAGE={stack.resources.stack_name.removeprefix('stepwell-')}"


@pytest.fixture
def aws(stack: LocalStack) -> Aws:
    return Aws.of_caller()


@pytest.fixture
def deployed(aws: Aws, stack: LocalStack) -> Stack:
    return stacks.load(aws, stack.resources.stack_name)


@pytest.fixture
def nothing_written(stack: LocalStack) -> Iterator[None]:
    before = items(stack)
    yield
    assert items(stack) == before


def items(stack: LocalStack) -> list[str]:
    dynamodb: DynamoDBClient = stack.dynamodb
    pages = dynamodb.get_paginator("scan").paginate(TableName=stack.resources.table)
    return sorted(json.dumps(item, sort_keys=True) for page in pages for item in page["Items"])


def status(stack: LocalStack, key: str, method: str = "GET") -> int:
    authentication.reset()  # as in a process that has not seen the key, or not for a minute
    body = b"{}" if method == "POST" else None
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return urllib3.request(method, f"{stack.url}/api/workflows", body=body, headers=headers).status


def made(said: Said, *arguments: str) -> str:
    """The key that the tool shows: all that it writes to stdout."""
    said.readouterr()
    tool.act(arguments)
    return said.readouterr().out.strip()


def id_of(key: str) -> str:
    return key.split("_")[1]


def test_a_key_opens_what_its_scopes_say_and_nothing_else(
    stack: LocalStack, stage: str, project: Project, capsys: Said
) -> None:
    key = made(capsys, stage, f"PROJECT={project.id}", "NAME=ci", "SCOPES=runs:read, read")

    assert status(stack, key) == 200
    assert status(stack, key, "POST") == 403


def test_what_a_key_may_do_and_that_it_is_shown_once_is_said_beside_it(
    stage: str, project: Project, capsys: Said
) -> None:
    tool.act([stage, f"PROJECT={project.id}", "NAME=my ci", "SCOPES=deploy", "EXPIRES=2d"])
    out, err = capsys.readouterr()

    assert len(out.splitlines()) == 1
    assert "the key my ci" in err
    assert "workflows:deploy runs:trigger runs:control\n" in err
    assert f"until {datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}" in err
    assert "shown this once" in err
    assert out.strip() not in err


def test_a_rotated_key_opens_under_its_new_text_alone(
    stack: LocalStack, stage: str, project: Project, capsys: Said
) -> None:
    old = made(capsys, stage, f"PROJECT={project.id}", "NAME=ci", "SCOPES=read")
    new = made(capsys, stage, f"ROTATE={id_of(old)}")

    assert (status(stack, new), status(stack, old)) == (200, 401)
    assert id_of(new) == id_of(old)


def test_a_revoked_key_opens_nothing_and_is_not_rotated(
    stack: LocalStack, stage: str, project: Project, capsys: Said
) -> None:
    key = made(capsys, stage, f"PROJECT={project.id}", "NAME=ci", "SCOPES=read")
    tool.act([stage, f"REVOKE={id_of(key)}", f"PROJECT={project.id}"])

    assert "a minute more" in capsys.readouterr().err
    assert status(stack, key) == 401
    with pytest.raises(Trouble, match=f"cannot rotate {id_of(key)}: the key is revoked"):
        tool.act([stage, f"ROTATE={id_of(key)}"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("action", ["ROTATE", "REVOKE"])
def test_a_key_that_is_given_whole_is_meant_by_its_id_and_not_repeated(
    stage: str, project: Project, capsys: Said, action: str
) -> None:
    key = made(capsys, stage, f"PROJECT={project.id}", "NAME=ci", "SCOPES=read")
    secret = key.split("_", 2)[2]

    assert tool.main([stage, f"{action}={key}"]) == 0
    assert tool.main([stage, f"{action}=ask_nobody_{secret}"]) == 1
    told = "".join(capsys.readouterr())
    assert f"({id_of(key)})" in told
    assert "nobody: API key not found" in told
    assert secret not in told


def test_a_key_whose_text_could_not_be_written_is_said_with_what_ends_it(
    stage: str, project: Project, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sys.stdout, "write", full)
        code = tool.main([stage, f"PROJECT={project.id}", "NAME=ci", "SCOPES=read"])

    [key, _] = keys.page(project.id, cursor=None, limit=9).items
    last = capsys.readouterr().err.splitlines()[-1]
    assert code == 1
    assert last.startswith("make key: the text could not be written (No space left on device): make key STAGE=local-")
    assert last.endswith(f" REVOKE={key.id} ends the key, whose text nobody saw")


def test_a_key_is_shown_though_nothing_can_be_said_beside_it(
    stage: str, project: Project, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys.stderr, "write", full)

    assert made(capsys, stage, f"PROJECT={project.id}", "NAME=ci", "SCOPES=read").startswith("ask_")


def test_keys_are_listed_with_all_but_their_secrets(
    stage: str, project: Project, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "_PAGE", 2)
    kept = made(capsys, stage, f"PROJECT={project.id}", "NAME=kept", "SCOPES=files:write", "EXPIRES=9999-12-31")
    gone = made(capsys, stage, f"PROJECT={project.id}", "NAME=gone", "SCOPES=read")
    tool.act([stage, f"REVOKE={id_of(gone)}"])
    capsys.readouterr()

    tool.act([stage, f"PROJECT={project.id}", "LIST=1"])

    head, *rows = capsys.readouterr().out.splitlines()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert head.split("  ")[0] == "id"
    assert [row.split()[1] for row in rows] == ["gone", "kept", "development"]
    assert rows[0].count(today) == 2
    assert rows[1].split()[-3:] == ["never", "no", "files:write"]
    assert "9999-12-31 00:00Z" in rows[1]
    assert not any(key.split("_", 2)[2] in "".join(rows) for key in (kept, gone, project.key))


def test_a_new_project_is_made_only_under_a_name(stack: LocalStack, stage: str, capsys: Said) -> None:
    asked = [stage, "PROJECT=proj_of_a_team", "NAME=ci", "SCOPES=read"]
    with pytest.raises(Trouble, match=r'there is no project proj_of_a_team .* NEW_PROJECT="Its name" makes it'):
        tool.act(asked)
    with pytest.raises(Trouble, match="there is no project proj_of_a_team"):
        tool.act([stage, "PROJECT=proj_of_a_team", "LIST=1"])

    key = made(capsys, *asked, "NEW_PROJECT=Team")

    assert status(stack, key) == 200
    assert projects.load("proj_of_a_team").name == "Team"
    assert status(stack, made(capsys, *asked)) == 200
    with pytest.raises(Trouble, match="is there already and is called Team"):
        tool.act([*asked, "NEW_PROJECT=Tema"])


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["NAME=ci"], "SCOPES= says what the key may do; there are workflows:read, .*keys:admin, .*trigger, write$"),
        (["NAME=ci", "SCOPES= , "], "SCOPES= says"),
        (["NAME=ci", "SCOPES=read runs:write runs:frobnicate"], "there is no scope runs:frobnicate; there are"),
        (["NAME=ci", "SCOPES=read", "EXPIRES=tomorrow"], "EXPIRES=tomorrow is neither a day"),
        (["NAME=ci", "SCOPES=read", "EXPIRES=9999999d"], "EXPIRES=9999999d is neither a day"),
        (["NAME=ci", "SCOPES=read", "EXPIRES=2026-02-30"], "EXPIRES=2026-02-30 is neither a day"),
        (["NAME=ci", "SCOPES=read", "EXPIRES=2026-01-01"], "EXPIRES=2026-01-01 is past"),
        (["NAME=ci", "SCOPES=read", "EXPIRES=0d"], "EXPIRES=0d is past"),
        (["NAME=ci", "SCOPES=read", "PROJECT=a#b"], "PROJECT='a#b' is no id"),
        (["NAME=ci", "SCOPES=read", "STAGE=Prod!"], "STAGE='Prod!' is none"),
        (["NAME=ci", "SCOPES=read", "EXPIRE=90d"], "there is no EXPIRE=: it takes STAGE, NAME"),
        (["NAME=ci", "SCOPES=read", "ROTATE=x"], "give one of"),
        (["ROTATE=x", "SCOPES=read"], "ROTATE= does not go with SCOPES="),
        (["LIST=1", "EXPIRES=1d"], "LIST= does not go with EXPIRES="),
        ([], "give one of NAME="),
        (["NAME=", "SCOPES=read"], "NAME= is empty: leave it away or give the key's name"),
        (["NAME=ci", "SCOPES=read", "EXPIRES="], "EXPIRES= is empty: leave it away or give a day"),
        (["NAME=ci", "SCOPES=read", "PROJECT="], "PROJECT= is empty: leave it away or give a project's id"),
        (["NAME=ci", "SCOPES=read", "NEW_PROJECT= "], "NEW_PROJECT= is empty"),
        (["NAME=ci", "SCOPES=read", "ROTATE="], "ROTATE= is empty"),
        (["NAME=ci", "SCOPES=read", "EXPIRES=20270101"], "EXPIRES=20270101 is neither a day"),
        (["NAME=ci", "SCOPES=read", "EXPIRES=2027-W01-1"], "EXPIRES=2027-W01-1 is neither a day"),
        (["NAME=ci", "SCOPES=read", "EXPIRES=" + 101 * "9"], "EXPIRES=9{100}… is neither a day"),
        (["NAME=ci", "SCOPES=" + 101 * "r"], "there is no scope r{100}…;"),
        (["REVOKE=a#b"], "REVOKE=a#b is no key's id"),
        (["ROTATE=ask_0123456789abcdef0123456789"], "ROTATE=ask_0123456789abcdef… is no key's id"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused_before_aws_is_asked(
    stage: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.setattr(Aws, "of_caller", lambda: pytest.fail("AWS was asked"))
    with pytest.raises(Trouble, match=said):
        tool.act([stage, *arguments])


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["NAME=a\nb", "SCOPES=read"], "cannot make a key: a key's name is 1 to 100 characters on one line"),
        (["ROTATE=0123456789abcdef"], "cannot rotate 0123456789abcdef: API key not found"),
        (["REVOKE={key}", "PROJECT=proj_default"], "API key not found"),
        (["NAME=ci", "SCOPES=read", "STAGE=nowhere"], "there is no stack stepwell-nowhere in us-east-1"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_is_written(
    stage: str, stack: LocalStack, arguments: list[str], said: str
) -> None:
    own = ["PROJECT=proj_dev"] if arguments[0].startswith("NAME") else []
    with pytest.raises(Trouble, match=said):
        tool.act([stage, *own, *(argument.format(key=id_of(stack.key)) for argument in arguments)])


@pytest.mark.usefixtures("nothing_written")
def test_without_the_stacks_secret_no_key_is_made(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "find_pepper", lambda _aws, _name: None)
    with pytest.raises(Trouble, match=r"has no secret in the parameter /stepwell/stepwell-local-\d+/key-pepper"):
        tool.act([stage, "PROJECT=proj_dev", "NAME=ci", "SCOPES=read"])


@pytest.mark.usefixtures("nothing_written")
def test_who_may_not_write_to_the_table_is_told_so_in_one_line(
    stage: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    call = vars(BaseClient)["_make_api_call"]

    def denied(self: BaseClient, operation: str, arguments: dict[str, object]) -> object:
        if operation != "PutItem":
            return call(self, operation, arguments)
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not\nauthorized"}}, operation)

    monkeypatch.setattr(BaseClient, "_make_api_call", denied)

    assert tool.main([stage, "PROJECT=proj_dev", "NAME=ci", "SCOPES=read"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "make key: cannot make a key: your credentials may not call PutItem (not authorized)\n")


def test_the_secret_is_never_said_and_does_not_stay_in_the_environment(
    aws: Aws, deployed: Stack, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    pepper = stacks.find_pepper(aws, deployed.name)
    assert pepper
    monkeypatch.delenv("STEPWELL_KEY_PEPPER")

    tool.act([stage, "PROJECT=proj_dev", "NAME=ci", "SCOPES=read"])

    assert pepper not in "".join(capsys.readouterr())
    assert "STEPWELL_KEY_PEPPER" not in os.environ


def test_the_first_key_opens_everything_and_is_made_once(stack: LocalStack, aws: Aws, deployed: Stack) -> None:
    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keys, "create", cut_off)
        with pytest.raises(KeyboardInterrupt):
            tool.first(aws, deployed)

    key = tool.first(aws, deployed)

    assert key is not None
    authentication.reset()
    stack.activate()
    found = authentication.authenticate(f"Bearer {key}", now=datetime.now(UTC))
    assert (found.project_id, found.name, found.scopes) == ("proj_default", "first", frozenset(Scope))
    assert tool.first(aws, deployed) is None


def test_two_tools_at_once_make_one_project_and_a_good_key_each(stack: LocalStack, stage: str) -> None:
    asked = [sys.executable, "-m", "infra.keys", stage, "PROJECT=proj_at_once", "NAME=ci", "SCOPES=read"]
    both = [
        subprocess.Popen([*asked, "NEW_PROJECT=Team"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [each.communicate(timeout=60) for each in both]

    assert [each.returncode for each in both] == [0, 0], told
    assert [status(stack, out.strip()) for out, _ in told] == [200, 200]
    assert len(keys.page("proj_at_once", cursor=None, limit=9).items) == 2
