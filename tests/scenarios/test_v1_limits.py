"""The largest that the workflow-runs API takes, and that what it answers of it is no more than Lambda lets through."""

from __future__ import annotations

from typing import Any, Final

import pytest

from chalicelib.domain.value import Json
from tests.scenarios.answers import fits, pages
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step, save, saved
from tests.scenarios.v1_runs import v1_run, v1_started

pytestmark = pytest.mark.store

MOST_STEPS: Final = 1000

#: Steps in a line.
CHAIN: Final = [a_step(f"s{nr}", *([f"s{nr - 1}"] if nr else [])) for nr in range(MOST_STEPS)]
_ARMS: Final = [f"arm{nr}" for nr in range(MOST_STEPS - 2)]
#: One step, then as many as there can be at once, then one that comes after all of them.
DIAMOND: Final = [a_step("first"), *(a_step(arm, "first") for arm in _ARMS), a_step("last", *_ARMS)]


@pytest.mark.parametrize("steps", [CHAIN, DIAMOND], ids=["chain", "diamond"])
def test_a_thousand_steps_run_to_the_end_and_are_listed_whole(scene: Scene, steps: list[Json]) -> None:
    workflow = save(scene, *steps)
    assert (workflow.status, fits(workflow)) == (201, True)
    run = v1_started(scene, *steps)
    assert scene.stack.wait_idle(60)
    assert run.status == "completed"
    [page] = pages(scene, f"{run.path}/steps")
    assert fits(page)
    assert [row["step_ref"] for row in page.json] == [step["step_ref"] for step in steps if isinstance(step, dict)]
    assert {row["status"] for row in page.json} == {"completed"}
    assert all(row["deps_completed"] == row["deps_required"] for row in page.json)
    for part in ("", "/graph", "/timeline", "/explain", "/why", "/labels"):
        answered = scene.client.get(f"{run.path}{part}")
        assert (answered.status, fits(answered)) == (200, True), part


def test_a_thousand_and_one_steps_are_refused_with_the_limit(scene: Scene) -> None:
    before = scene.client.get(f"/v1/workflows?project_id={scene.project.id}").json
    refused = save(scene, *DIAMOND, a_step("more"))
    assert refused.status == 400
    assert "1000" in refused.json["error"]["message"].replace(",", ""), refused.text
    assert scene.client.get(f"/v1/workflows?project_id={scene.project.id}").json == before
    path = f"/v1/workflows/{saved(scene)['id']}/dry-run"
    tried = scene.client.post(path, {"steps": [*DIAMOND, a_step("more")]}).json
    assert (tried["valid"], tried["step_count"]) == (False, 1001)


def test_large_outputs_are_paged_by_their_bytes_and_none_is_lost(scene: Scene) -> None:
    large = '"' * 499_000  # each is two bytes in JSON, and four in Lambda's answer
    refs = [f"s{nr}" for nr in range(10)]
    run = v1_run(scene, *(a_step(ref, payload=ref + "{{ payload }}") for ref in refs), payload=large)
    found: dict[str, Any] = {}
    for page in pages(scene, f"{run.path}/steps"):
        assert fits(page)
        assert page.json
        assert not found.keys() & {row["step_ref"] for row in page.json}
        found |= {row["step_ref"]: row["output"] for row in page.json}
    assert found == {ref: ref + large for ref in refs}
    assert fits(scene.client.get(run.path))
