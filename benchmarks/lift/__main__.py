"""The paired table of both rounds, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.lift import Pair, Run, pairs

HEAD = (
    "| bug | ours: solved | requests | calls | tokens in | out | said | peer: solved | requests "
    "| calls | tokens in | out |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Print it."""
    found = pairs()
    for number in sorted({pair.round for pair in found}):
        print(f"Round {number}\n\n{HEAD}")
        print("\n".join(_rows([pair for pair in found if pair.round == number])))
        print()


def _rows(found: Sequence[Pair]) -> Iterator[str]:
    for pair in found:
        cells = [pair.id, *_cells(pair.ours), pair.ours.outcome, *_cells(pair.peer)]
        yield f"| {' | '.join(cells)} |"
    ours, peer = (_sum([getattr(pair, side) for pair in found]) for side in ("ours", "peer"))
    yield f"| **{len(found)} bugs** | {' | '.join([*ours, '', *peer])} |"


def _cells(run: Run) -> list[str]:
    counts = (run.requests, run.calls, run.input_tokens, run.output_tokens)
    return ["yes" if run.solved else "no", *map(str, counts)]


def _sum(runs: Sequence[Run]) -> list[str]:
    names = ("solved", "requests", "calls", "input_tokens", "output_tokens")
    return [str(sum(int(getattr(run, name)) for run in runs)) for name in names]


if __name__ == "__main__":
    main()
