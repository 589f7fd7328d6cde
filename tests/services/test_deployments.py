from __future__ import annotations

import re

import pytest

from chalicelib.domain.refusal import BadRequest, Conflict, NotFound
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Deployment, Workflow, WorkflowKind
from chalicelib.services import connections, contents, deployments, revisions, versions
from chalicelib.services.contents import values_of
from chalicelib.services.revisions import Changes
from chalicelib.store import deployments as store
from chalicelib.store import versions as version_store
from chalicelib.store.errors import Busy
from tests.conftest import Table
from tests.services.library import ALICE, NOW, PROJECT, a_graph, a_project, a_workflow, later

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table", "payloads")]


def a_version(workflow: Workflow, value: Json = 1) -> str:
    return versions.save(PROJECT, workflow.id, ir=a_graph(value), actor=ALICE, now=NOW).version.id


def deploy(workflow: Workflow, **given: str | None) -> deployments.Deployed:
    options = {"connection_id": "conn_default", "version_id": None} | given
    return deployments.deploy(PROJECT, workflow.id, **options, actor=ALICE, now=later(1))  # type: ignore[arg-type]


def a_script(**given: str) -> Workflow:
    a_project()
    script = a_workflow(kind=WorkflowKind.SCRIPT, **given)  # type: ignore[arg-type]
    a_version(script)
    return script


def test_the_newest_version_is_deployed_unless_another_is_named() -> None:
    a_project()
    workflow = a_workflow()
    first = a_version(workflow)
    assert deploy(workflow).deployment.version_id == first
    second = a_version(workflow, 2)
    assert deploy(workflow).deployment.version_id == second
    assert deploy(workflow, version_id=first).deployment.version == 1
    assert [one.version for one in deployments.of_workflow(PROJECT, workflow.id)] == [1]


def test_a_workflow_without_a_version_cannot_be_deployed() -> None:
    a_project()
    with pytest.raises(BadRequest, match="No version to deploy"):
        deploy(a_workflow())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"connection_id": "conn_none"}, "Connection not found"),
        ({"connection_id": "a#b/c"}, "Connection not found"),
        ({"version_id": "wfv_none"}, "Version not found"),
        ({"version_id": "a#b"}, "Version not found"),
    ],
)
def test_what_is_unknown_is_not_found(given: dict[str, str], message: str) -> None:
    a_project()
    workflow = a_workflow()
    a_version(workflow)
    with pytest.raises(NotFound, match=message):
        deploy(workflow, **given)
    assert deployments.of_workflow(PROJECT, workflow.id) == ()


def test_a_workflow_has_no_url_of_its_own() -> None:
    a_project()
    workflow = a_workflow()
    a_version(workflow)
    assert deploy(workflow).token is None


def test_a_scripts_url_is_unguessable_and_found_by_its_token_alone() -> None:
    script = a_script()
    deployed = deploy(script)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", str(deployed.token))
    assert deployments.by_token(str(deployed.token)) == deployed.deployment
    assert str(deployed.token) not in repr(deployed)


def test_the_token_is_stored_nowhere(table: Table) -> None:
    token = str(deploy(a_script()).token)
    assert token not in str(table.client.scan(TableName=table.name)["Items"])


def test_a_script_deployed_again_keeps_its_url() -> None:
    script = a_script()
    before = deploy(script)
    a_version(script, 2)
    after = deploy(script)
    assert after.token == before.token
    assert deployments.by_token(str(after.token)).version == 2


def test_a_takedown_revokes_the_url_and_a_new_deployment_has_another() -> None:
    script = a_script()
    before = str(deploy(script).token)
    deployments.take_down(PROJECT, script.id, connection_id="conn_default")
    with pytest.raises(NotFound):
        deployments.by_token(before)
    after = str(deploy(script).token)
    assert after != before
    with pytest.raises(NotFound):
        deployments.by_token(before)


def test_two_connections_have_two_urls() -> None:
    script = a_script()
    other = connections.create(PROJECT, name="o", region="eu-west-1", role_arn=None, external_id=None, now=NOW)
    tokens = {deploy(script).token, deploy(script, connection_id=other.id).token}
    assert len(tokens) == 2
    assert len(deployments.of_workflow(PROJECT, script.id)) == 2


@pytest.mark.parametrize("token", ["unknown", "x" * 43])
def test_an_unknown_token_is_not_found(token: str) -> None:
    with pytest.raises(NotFound, match="Function not found"):
        deployments.by_token(token)


def test_a_takedown_where_nothing_is_deployed_is_not_found() -> None:
    script = a_script()
    with pytest.raises(NotFound, match="Not deployed on this connection"):
        deployments.take_down(PROJECT, script.id, connection_id="conn_default")


def test_trigger_code_changed_since_the_last_save_is_deployed_as_a_version() -> None:
    script = a_script(trigger_code="{{ steps.only.output }}")
    deploy(script)
    revisions.change(
        PROJECT, script.id, changes=Changes(trigger_code="answer {{ steps.only.output }}"), actor=ALICE, now=NOW
    )
    deployed = deploy(script).deployment
    assert deployed.version == 2
    stored = version_store.load(script.id, 2)
    assert stored is not None
    content = contents.content_of(stored, values_of(PROJECT))
    assert (content.trigger_code, content.ir) == ("answer {{ steps.only.output }}", a_graph())


def test_of_two_first_deployments_at_once_both_end_with_one_url(monkeypatch: pytest.MonkeyPatch) -> None:
    script = a_script()
    load = store.load
    tokens: list[str] = []

    def raced(workflow_id: str, connection_id: str) -> Deployment | None:
        found = load(workflow_id, connection_id)
        if not tokens:
            tokens.append("")
            tokens.append(str(deploy(script).token))
        return found

    monkeypatch.setattr(store, "load", raced)
    assert deploy(script).token == tokens[-1]


def test_a_deployment_that_meets_others_time_after_time_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise Busy("held")

    script = a_script()
    monkeypatch.setattr(store, "deploy", busy)
    with pytest.raises(Conflict):
        deploy(script)
