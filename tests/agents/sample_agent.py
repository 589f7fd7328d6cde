"""An agent without a model: designs posters, and checks them, by rules. Any command-line agent could stand here.

It reads the work document on its standard input and prints its report. What it understands of a prompt are rules:

    title "…" · at least N words · must mention "…" and "…" · as wide (high) as the image · in the image's color

As a designer it begins with the first clause of the prompt alone, and from then on amends exactly what it was told. As
a checker it looks at what a poster says, and at its form once it says the right thing; so a prompt about both takes
three rounds. In any other role it sums up what the steps before it made. It never surprises: same work, same report.
"""

from __future__ import annotations

import json
import re
import struct
import sys
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: A JSON object.
Fields = Mapping[str, Any]

#: US dollars for a million words read and written, by what a model's name holds; the last is everybody else's.
PRICES: Sequence[tuple[str, float, float]] = (("opus", 5.0, 25.0), ("sonnet", 3.0, 15.0), ("", 1.0, 5.0))
#: What a poster is filled with, over and over.
FILLER = ("come", "early", "and", "bring", "a", "friend", "because", "there", "is", "something", "new", "to", "see")
PNG = b"\x89PNG\r\n\x1a\n"
#: As much of an image as is looked at.
LOOKED_AT = 1_000_000


@dataclass(frozen=True)
class Picture:
    """What a designer sees of an image."""

    width: int
    height: int
    #: Of its first pixel, as ``#rrggbb``; empty if that cannot be told.
    color: str


@dataclass(frozen=True)
class Rule:
    """One thing that a poster must do."""

    kind: str
    value: str


@dataclass(frozen=True)
class Kind:
    """How rules of a kind are found in a prompt, judged, told, and followed."""

    #: Whether it is about what the poster says, which is looked at first.
    says: bool
    #: How a prompt puts it.
    asked: str
    #: What is missing of it in a poster: a sentence for the designer, or nothing.
    fault: Callable[[Fields, str], str]
    #: How a checker puts it, with the value in it.
    told: str
    #: The poster after the designer has done as it was told.
    amended: Callable[[Fields, str], Fields]


def words_of(poster: Fields) -> int:
    """Return how many words are on a poster."""
    return len(str(poster.get("text", "")).split())


def longer(poster: Fields, count: str) -> Fields:
    """Return the poster with that many words more."""
    have = words_of(poster)
    more = [FILLER[(have + number) % len(FILLER)] for number in range(int(count))]
    return {**poster, "text": " ".join([str(poster.get("text", "")), *more]).strip()}


def titled(poster: Fields, title: str) -> Fields:
    """Return the poster under a title, which is also the first that it says."""
    said = str(poster.get("text", "")).removeprefix(f"{poster.get('title', '')}.").strip()
    return {**poster, "title": title, "text": f"{title}. {said}".strip()}


def saying(poster: Fields, phrase: str) -> Fields:
    """Return the poster with a sentence more."""
    return {**poster, "text": f"{poster.get('text', '')} {phrase[:1].upper()}{phrase[1:]}!".strip()}


def missing_words(poster: Fields, least: str) -> str:
    """Return how many words are to be added, if any."""
    missing = int(least) - words_of(poster)
    return f"add {missing} words" if missing > 0 else ""


KINDS: Mapping[str, Kind] = {
    "title": Kind(
        says=True,
        asked=r'title:? "([^"]+)"',
        fault=lambda poster, title: "" if poster.get("title") == title else f'give it the title "{title}"',
        told=r'give it the title "([^"]+)"',
        amended=titled,
    ),
    "mention": Kind(
        says=True,
        asked=r'(?:must mention|,| and) "([^"]+)"',
        fault=lambda poster, phrase: (
            "" if phrase.lower() in str(poster.get("text", "")).lower() else f'mention "{phrase}"'
        ),
        told=r'mention "([^"]+)"',
        amended=saying,
    ),
    "words": Kind(
        says=False, asked=r"at least (\d+) words", fault=missing_words, told=r"add (\d+) words", amended=longer
    ),
    "width": Kind(
        says=False,
        asked=r"as (wide) as the image",
        fault=lambda poster, width: "" if poster.get("width") == int(width) else f"make it {width} wide",
        told=r"make it (\d+) wide",
        amended=lambda poster, width: {**poster, "width": int(width)},
    ),
    "height": Kind(
        says=False,
        asked=r"as (high) as the image",
        fault=lambda poster, height: "" if poster.get("height") == int(height) else f"make it {height} high",
        told=r"make it (\d+) high",
        amended=lambda poster, height: {**poster, "height": int(height)},
    ),
    "color": Kind(
        says=False,
        asked=r"in the image's (color)",
        fault=lambda poster, color: "" if poster.get("color") == color else f"print it in {color}",
        told=r"print it in (#[0-9a-f]{6})",
        amended=lambda poster, color: {**poster, "color": color},
    ),
}


def rules_in(text: str, picture: Picture | None) -> Iterator[Rule]:
    """Yield the rules of a prompt; those about an image only if there is one that can be looked at."""
    seen = {"width": str(picture.width), "height": str(picture.height), "color": picture.color} if picture else {}
    for name, kind in KINDS.items():
        for found in re.finditer(kind.asked, text):
            value = found[1] if found[1] not in {"wide", "high", "color"} else seen.get(name, "")
            if value:
                yield Rule(name, value)


def design(work: Fields, picture: Picture | None) -> Fields:
    """Return a poster: the first clause of the prompt, or the one before with what was told of it amended."""
    before = [made["output"] for made in work["outputs"] if made["step"] == work["step"]]
    if not before:
        prompt: str = work["prompt"]
        first = next((clause for clause in prompt.split(";") if list(rules_in(clause, picture))), "")
        poster: Fields = {} if first else {"text": prompt}
        for rule in rules_in(first, picture):
            poster = KINDS[rule.kind].amended(poster, rule.value)
        return {"output": poster}
    poster = before[-1]
    for said in work["feedback"]:
        for kind in KINDS.values():
            for found in re.finditer(kind.told, said["feedback"] or ""):
                poster = kind.amended(poster, found[1])
    return {"output": poster}


def check(work: Fields, picture: Picture | None) -> Fields:
    """Return a verdict on the latest poster, and what is to be done about it."""
    posters = [made["output"] for made in work["outputs"] if made["role"] == "designer"]
    if not posters or not isinstance(posters[-1], dict):
        return {"output": "nothing to check", "verdict": "fail", "feedback": "there is no poster"}
    rules = list(rules_in(work["prompt"], picture))
    for says in (True, False):
        looked_at = [rule for rule in rules if KINDS[rule.kind].says is says]
        faults = [fault for rule in looked_at if (fault := KINDS[rule.kind].fault(posters[-1], rule.value))]
        if faults:
            return {
                "output": {"looked at": len(looked_at), "faults": len(faults)},
                "verdict": "fail",
                "feedback": "; ".join(faults),
                "issues": [{"title": fault, "severity": "high" if says else "low"} for fault in faults],
            }
    learned = {"title": "How many rounds a poster takes", "body": f"{work['iteration']}, with {len(rules)} rules"}
    return {"output": {"looked at": len(rules), "faults": 0}, "verdict": "pass", "learnings": [learned]}


def sum_up(work: Fields, picture: Picture | None) -> Fields:
    """Return a line for each step before this one."""
    lines = [
        f"{made['step']} ({made['iteration']}): {made['verdict'] or json.dumps(made['output'], sort_keys=True)}"
        for made in work["outputs"]
    ]
    seen = f"{picture.width} x {picture.height} pixels" if picture else "no image"
    return {"output": "\n".join([f"{work['role']} of {len(lines)} steps, {seen}", *lines])}


ROLES: Mapping[str, Callable[[Fields, Picture | None], Fields]] = {"designer": design, "checker": check}


def look_at(content: bytes) -> Picture | None:
    """Return what a PNG's first bytes say; None: it is none."""
    if content[:8] != PNG or content[12:16] != b"IHDR":
        return None
    width, height, depth, color_type = struct.unpack(">IIBB", content[16:26])
    color = ""
    if (depth, color_type) in {(8, 2), (8, 6)}:
        packed, at = b"", 8
        while at + 8 <= len(content):
            length = int.from_bytes(content[at : at + 4], "big")
            if content[at + 4 : at + 8] == b"IDAT":
                packed += content[at + 8 : at + 8 + length]
            at += length + 12
        # Whatever its filter, the first pixel of the first row has nothing before it, and is itself.
        color = f"#{zlib.decompressobj().decompress(packed, 4)[1:4].hex()}"
    return Picture(width, height, color)


def priced(work: Fields, report: Fields) -> Fields:
    """Return what the report took: a word is a token."""
    model = work["agent"]["model"] or ""
    read, written = len(json.dumps(work).split()), len(json.dumps(report).split())
    _, dear, dearer = next(price for price in PRICES if price[0] in model)
    return {
        "inputTokens": read,
        "outputTokens": written,
        "costUsd": round((read * dear + written * dearer) / 1_000_000, 9),
    }


def report_on(work: Fields) -> Fields:
    """Return the report: what was made, and what that took."""
    picture = None
    if work["images"]:
        with urllib.request.urlopen(work["images"][0]["url"], timeout=30) as answer:  # noqa: S310 - Stepwell's own URL
            picture = look_at(answer.read(LOOKED_AT))
    report = ROLES.get(work["role"], sum_up)(work, picture)
    return {**report, "usage": priced(work, report)}


def main() -> None:
    """Read the work, print the report."""
    work = json.load(sys.stdin)
    print(f"{work['role']}, round {work['iteration']} of {work['maxIterations']}", file=sys.stderr, flush=True)
    print(json.dumps(report_on(work)))


if __name__ == "__main__":
    main()
