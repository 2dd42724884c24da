"""The figures of a bench as text: one table of strategies, one of shares, one of comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.bench.results import PARTS, Results, at_time
from nas.bench.statistics import Comparison, Summary
from nas.lines import aligned, spell_seconds


def report(results: Results) -> str:
    """Returns what a reader wants to know, most important first; intervals are bootstrap 95 % of the mean."""
    parts = [*_strategies(results), "", *_shares(results)]
    if len(results.measures) > 1:
        parts += ["", *_comparisons(results)]
    parts += ["", *results.known.notes] if results.known.notes else []
    return "\n".join(parts)


def _strategies(results: Results) -> Iterator[str]:
    """Yields one line a strategy: what was best in the end, and what it took."""
    summaries = results.summaries()
    has = {name: any(name in of for of in summaries.values()) for name in ("hypervolume", "simulated")}
    head = ["strategy", f"best {results.known.objectives[0].name}, mean +- sd (95 %)", "regret"]
    head += ["hypervolume"] * has["hypervolume"] + ["evaluations"] + [f"to {part:.0%}" for part in PARTS]
    rows = [head + ["distinct", "inherited", "ms a proposal"] + ["simulated"] * has["simulated"]]
    for label, of in summaries.items():
        rows.append(
            [
                label,
                _spread(of["best"]),
                f"{of['regret'].mean:.4g}",
                *([_spread(of["hypervolume"]).partition(" (")[0]] if has["hypervolume"] else []),
                f"{of['evaluations'].mean:.4g}",
                *(_reached(of[f"evaluations to {part:.0%}"]) for part in PARTS),
                f"{of['distinct'].mean:.3f}",
                f"{of['inherited'].mean:.3f}" if of["inherited"].count else "-",
                _milliseconds(of["seconds"]),
                *([spell_seconds(of["simulated"].mean) if "simulated" in of else "-"] if has["simulated"] else []),
            ]
        )
    yield aligned(rows)
    yield "distinct: different networks among the proposals; inherited: the largest share of a network's decisions that one earlier"
    yield "network of its repeat has alike (repetitions where they fit best), mean; random's is what chance gives"


def _shares(results: Results) -> Iterator[str]:
    """Yields the shares of the known front's hypervolume at each mark, as searched and, where that differs, as reported."""
    names = ", ".join(objective.name for objective in results.known.objectives)
    yield f"share of the {results.known.front}'s hypervolume ({names}), mean +- sd (95 %)"
    rows = [["after", *results.measures]]
    summaries = results.summaries()
    for mark in results.marks:
        rows.append([f"{mark:,}", *(_spread(of[f"share at {mark}"]) for of in summaries.values())])
    for seconds in results.seconds:
        spelled = f"{spell_seconds(seconds)} simulated"
        rows.append([spelled, *(_spread(of[at_time(seconds)]) for of in summaries.values())])
    if results.known.reports_apart:
        last = results.marks[-1]
        rows.append([f"{last:,}, reported", *(_spread(of[f"reported share at {last}"]) for of in summaries.values())])
    yield aligned(rows)


def _comparisons(results: Results) -> Iterator[str]:
    """Yields each strategy held against the first."""
    comparisons = results.comparisons()
    alone = [label for label in list(results.measures)[1:] if label not in comparisons]
    yield f"against {next(iter(results.measures))}: Wilcoxon signed-rank, Holm-corrected; effect from -1 (worse) to 1 (better)"
    rows = [["strategy", "measure", "better", "worse", "p", "effect"]]
    for label, of in comparisons.items():
        rows += [[label, name, *_comparison(one)] for name, one in of.items()]
    if comparisons:
        yield aligned(rows)
    for label in alone:
        yield f"{label} has no repeat in common with the first, with the same seed, and is not compared"


def _comparison(one: Comparison) -> Sequence[str]:
    return str(one.better), str(one.worse), f"{one.p:.2g}", f"{one.effect:+.2f}"


def _spread(one: Summary) -> str:
    if one.count < 2:
        return f"{one.mean:.4f}" if one.count else "-"
    return f"{one.mean:.4f} +- {one.sd:.4f} ({one.low:.4f} to {one.high:.4f})"


def _milliseconds(seconds: Summary) -> str:
    """Returns the median, since the first repeat in a process loads libraries, too."""
    return f"{1000 * seconds.median:.3g}" if seconds.count else "-"


def _reached(one: Summary) -> str:
    """Returns the mean number of evaluations, and how many repeats reached it where not all did."""
    if not one.count:
        return "never"
    return f"{one.mean:.0f}" + (f" ({one.count} of {one.of})" if one.count < one.of else "")
