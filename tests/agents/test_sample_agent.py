"""The sample agent, without Stepwell: its designer and its checker come to terms, in as many rounds as it takes."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.agents import sample_agent
from tests.agents.sample_agent import look_at, report_on
from tests.gateways.servers import Answer, http_server

EVERYTHING = (
    'A poster: title "Summer Sale"; at least 12 words; must mention "half price" and "Saturday"; '
    "as wide as the image; in the image's color."
)


def a_png(width: int, height: int, color: bytes = b"\xf4\xa2\x61", *, kind: int = 2) -> bytes:
    """Return an image of one color, whose data lies in two chunks."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    data = zlib.compress((b"\x00" + color * width) * height)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return sample_agent.PNG + header + chunk(b"IDAT", data[:5]) + chunk(b"IDAT", data[5:]) + chunk(b"IEND", b"")


def work(role: str = "designer", *, prompt: str = "a poster", **parts: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "step": f"{role}_1",
        "role": role,
        "iteration": 1,
        "maxIterations": 4,
        "prompt": prompt,
        "instructions": None,
        "agent": {"cliId": "claude", "model": "claude-opus-4-7", "thinkingEffort": None},
        "images": [],
        "outputs": [],
        "feedback": [],
        **parts,
    }


def rounds(prompt: str, images: list[Mapping[str, Any]], *, most: int = 6) -> list[Mapping[str, Any]]:
    """Have the two work until the checker passes; return each round's poster, with the verdict and feedback on it."""
    told: list[Mapping[str, Any]] = []
    outputs: list[Mapping[str, Any]] = []
    feedback: list[Mapping[str, Any]] = []
    for iteration in range(1, most + 1):
        said: dict[str, Any] = {"prompt": prompt, "images": images, "iteration": iteration}
        made = report_on(work("designer", outputs=outputs, feedback=feedback, **said))
        design = {"step": "designer_1", "role": "designer", "iteration": iteration, "verdict": None, **made}
        found = report_on(work("checker", outputs=[*outputs, design], **said))
        outputs = [design, {"step": "checker_1", "role": "checker", "iteration": iteration, **found}]
        feedback = [{"step": "checker_1", "feedback": found.get("feedback"), "verdict": found["verdict"]}]
        told.append({**feedback[0], "poster": made["output"]})
        if found["verdict"] == "pass":
            break
    return told


@pytest.fixture(scope="module")
def image() -> Iterator[dict[str, str]]:
    with http_server(lambda _: Answer(body=a_png(320, 200))) as server:
        yield {"storageId": "file", "url": f"{server.url}/poster.png"}


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("Anything.", 1),
        ('A poster: title "Sale".', 1),
        ('A poster: title "Sale"; must mention "half price".', 2),
        ('A poster: title "Sale"; at least 40 words.', 2),
        ('A poster: at least 5 words; title "Sale"; must mention "a", "b" and "c".', 2),
        (EVERYTHING, 3),
    ],
)
def test_designer_and_checker_agree_in_as_many_rounds_as_it_takes(
    image: dict[str, str], prompt: str, count: int
) -> None:
    told = rounds(prompt, [image])
    assert [one["verdict"] for one in told] == [*["fail"] * (count - 1), "pass"]


def test_a_poster_is_amended_by_what_was_told_and_by_no_more(image: dict[str, str]) -> None:
    prompt = 'title "Sale"; must mention "half price"; at least 9 words; as wide as the image; as high as the image'
    first, second, third = rounds(prompt, [image])
    assert first["poster"] == {"title": "Sale", "text": "Sale."}
    assert first["feedback"] == 'mention "half price"'
    assert second["poster"] == {"title": "Sale", "text": "Sale. Half price!"}
    assert second["feedback"] == "add 6 words; make it 320 wide; make it 200 high"
    text = "Sale. Half price! bring a friend because there is"
    assert third["poster"] == {"title": "Sale", "text": text, "width": 320, "height": 200}


def test_a_checker_says_what_is_wrong_and_what_it_has_learned(image: dict[str, str]) -> None:
    poster = {"step": "designer_1", "role": "designer", "iteration": 1, "output": {"text": "x"}}
    failed = report_on(work("checker", prompt='title "Sale"', outputs=[poster]))
    assert failed["issues"] == [{"title": 'give it the title "Sale"', "severity": "high"}]
    passed = report_on(work("checker", prompt="anything", outputs=[poster], iteration=2))
    assert passed["learnings"] == [{"title": "How many rounds a poster takes", "body": "2, with 0 rules"}]


@pytest.mark.parametrize("output", [None, "a text"])
def test_a_checker_without_a_poster_fails_it(output: str | None) -> None:
    made = [{"step": "designer_1", "role": "designer", "iteration": 1, "output": output}] if output else []
    assert report_on(work("checker", outputs=made))["verdict"] == "fail"


def test_any_other_role_sums_up(image: dict[str, str]) -> None:
    made = [
        {"step": "designer_1", "role": "designer", "iteration": 2, "output": {"text": "x"}, "verdict": None},
        {"step": "checker_2", "role": "checker", "iteration": 2, "output": 1, "verdict": "pass"},
    ]
    assert report_on(work("reviewer", outputs=made, images=[image]))["output"].splitlines() == [
        "reviewer of 2 steps, 320 x 200 pixels",
        'designer_1 (2): {"text": "x"}',
        "checker_2 (2): pass",
    ]


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (a_png(3, 2), (3, 2, "#f4a261")),
        (a_png(3, 2, b"\x01\x02\x03\xff", kind=6), (3, 2, "#010203")),
        (a_png(3, 2, b"\x00", kind=0), (3, 2, "")),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_an_image_is_looked_at_by_its_bytes(content: bytes, seen: tuple[int, int, str] | None) -> None:
    picture = look_at(content)
    assert (picture and (picture.width, picture.height, picture.color)) == seen


def test_a_dearer_model_costs_more_and_the_same_work_the_same() -> None:
    def cost(model: str | None) -> float:
        used = report_on(work(agent={"cliId": "claude", "model": model}))["usage"]
        assert used["inputTokens"] > used["outputTokens"] > 0
        return float(used["costUsd"])

    assert cost("claude-opus-4-7") > cost("claude-sonnet-4-6") > cost(None) == cost(None) > 0


def test_it_is_a_program_that_reads_its_work_and_prints_its_report() -> None:
    ran = subprocess.run(
        [sys.executable, "-I", str(sample_agent.__file__)],
        input=json.dumps(work(prompt='title "Sale"')),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout)["output"]["title"] == "Sale"
    assert ran.stderr == "designer, round 1 of 4\n"
