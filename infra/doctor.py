"""`make doctor`: looks at a stage, its account and this machine, says what is wrong and what mends it; changes nothing.

It exits with 1 if something is bad. What it could not look at, it says.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from infra import (
    checks_account,
    checks_data,
    checks_quotas,
    checks_running,
    checks_stack,
    command_line,
    stacks,
    template,
)
from infra.checks import Finding, Level, Site, bad, examine, ok
from infra.stacks import Aws
from infra.trouble import Trouble, run

#: What is looked at once the caller is known, in the order in which one thing may be the cause of the next.
CHECKS: Final = (
    *checks_account.CHECKS,
    *checks_stack.CHECKS,
    *checks_data.CHECKS,
    *checks_running.CHECKS,
    *checks_quotas.CHECKS,
)
_KNOWN: Final = ("STAGE",)
#: A stack that a plan left behind: there is nothing in it.
_PLANNED: Final = "REVIEW_IN_PROGRESS"


def findings(aws: Aws, stage: str) -> Iterator[Finding]:
    """Yield all that there is to say, as it is found."""
    name = stacks.name_of(stage)
    caller, first = checks_account.introduce(aws)
    yield from first
    if caller is None:
        return
    try:
        stack = stacks.find(aws, name)
    except Trouble as trouble:
        yield bad(str(trouble), "allow cloudformation:DescribeStacks", about="stack")
        stack = None
    else:
        if stack is None or stack.status == _PLANNED:
            stack = None
            yield ok(f"no stack yet: make deploy STAGE={stage} makes {name}", about="stack")
    site = Site(
        aws=aws,
        stage=stage,
        caller=caller,
        stack=stack,
        template=template.load(),
        now=datetime.now(UTC),
    )
    yield from examine(site, CHECKS)


def main(arguments: Sequence[str]) -> int:
    """Print the findings and how many there are of each kind; return 1 if one is bad."""
    counts: Counter[Level] = Counter()

    def work() -> None:
        given = command_line.read(arguments, known=_KNOWN)
        stage = given.get("STAGE", "")
        stacks.name_of(stage)
        for finding in findings(Aws.of_caller(), stage):
            print(finding.line, flush=True)
            counts[finding.level] += 1
        print(", ".join(f"{counts[level]} {level}" for level in Level))

    return max(run("make doctor", work), int(counts[Level.BAD] > 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
