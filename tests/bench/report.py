"""The report as plain text: columns, aligned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.bench.cold import Start
from tests.bench.imports import Imports
from tests.bench.measure import Measured
from tests.bench.meter import Counts
from tests.bench.targets import Target

_SHORT = {
    "BatchGetItem": "BatchGet",
    "GetItem": "Get",
    "PutItem": "Put",
    "TransactWriteItems": "Transact",
    "UpdateItem": "Update",
}


def stack_lines(name: str, measured: Mapping[str, Measured], targets: Iterable[Target]) -> list[str]:
    """Return the tables of one stack; ms a step are medians, the steps' own time taken off (not of CPU)."""
    times = [["", "steps", "ms a step", "driving", "own", "ms a put", "floors a step", "driving", "of CPU"]]
    costs = [
        [
            "",
            "calls",
            "writes",
            "write units",
            "of indexes",
            "read units",
            "drive",
            "work",
            "states",
            "S3",
            "by operation",
        ]
    ]
    for one in measured.values():
        times.append(
            [
                one.name,
                str(one.steps),
                *(f"{ms:.2f}" for ms in (one.step_ms, one.driving_ms, one.own_ms, one.put_ms)),
                f"{one.ratio:.2f}",
                f"{one.driving_ratio:.2f}",
                f"{one.cpu_ratio:.2f}",
            ]
        )
        counts = one.counts
        parked = f"+{counts.park_writes}" if counts.park_writes else ""
        costs.append(
            [
                one.name,
                str(sum(counts.calls.values())),
                f"{counts.writes}{parked}",
                *(f"{units:g}" for units in (counts.write_units, counts.index_write, counts.read_units)),
                str(counts.invocations["drive"]),
                str(counts.invocations["work"]),
                str(counts.transitions),
                str(sum(counts.s3.values())),
                " ".join(f"{_SHORT.get(call, call)} {count}" for call, count in sorted(counts.calls.items())),
            ]
        )
    return [
        f"{name}: time",
        *_aligned(times),
        "",
        f"{name}: cost of one go",
        *_aligned(costs),
        "",
        *target_lines(targets),
    ]


def import_lines(imports: Imports, targets: Iterable[Target]) -> list[str]:
    """Return the table of `import app`."""
    rows = [
        ["import", "ms", "resident MB"],
        ["app", f"{1000 * imports.app_seconds:.0f}", f"{imports.resident_mb:.0f}"],
        ["its libraries", f"{1000 * imports.library_seconds:.0f}", f"{imports.library_resident_mb:.0f}"],
    ]
    return [*_aligned(rows), "", *target_lines(targets)]


def cold_lines(starts: Sequence[Start]) -> list[str]:
    """Return the table of cold starts, each beside its ratio to what is deployed."""
    functions = list(starts[0].seconds)
    rows = [["zip", "MB", "unzipped", *(title for name in functions for title in (f"{name} ms", "x"))]]
    for each in starts:
        times = [(f"{1000 * each.seconds[name]:.0f}", f"{each.ratios[name]:.2f}") for name in functions]
        rows.append(
            [each.name, f"{each.zipped_mb:.1f}", f"{each.unzipped_mb:.1f}", *(cell for pair in times for cell in pair)]
        )
    return _aligned(rows)


def call_lines(title: str, asked: Mapping[str, Counts], targets: Iterable[Target]) -> list[str]:
    """Return the table of what requests ask of AWS."""
    rows = [[title, "calls", "by operation"]]
    for name, counts in asked.items():
        operations = sorted((counts.calls + counts.s3 + counts.others).items())
        by_operation = " ".join(f"{_SHORT.get(call, call)} {count}" for call, count in operations)
        rows.append([name, str(counts.all_calls), by_operation])
    return [*_aligned(rows), "", *target_lines(targets)]


def target_lines(targets: Iterable[Target]) -> list[str]:
    """Return the targets, a line each."""
    rows = [[each.name, each.wanted, each.figure, each.verdict] for each in targets]
    return _aligned([["target", "wanted", "measured", ""], *rows], left=4)


def _aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Pad the columns; the first ones, and a last one of words, to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def cell(text: str, column: int) -> str:
        words = column < left or rows[0][column] == "by operation"
        return text.ljust(widths[column]) if words else text.rjust(widths[column])

    return ["  ".join(cell(text, column) for column, text in enumerate(row)).rstrip() for row in rows]
