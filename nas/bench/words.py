"""The figures of a bench as text: what was searched, one table of strategies, one of shares, one of comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.bench.about import About
from nas.bench.from_table import TableGround
from nas.bench.results import PARTS, Results, at_time
from nas.bench.statistics import Comparison, Summary, fewest_pairs
from nas.lines import aligned, counted, spell_seconds

_LEVEL = 0.05  # of p, under which a difference is usually believed


def report(results: Results) -> str:
    """Returns what a reader wants to know, most important first; intervals are bootstrap 95 % of the mean."""
    parts = [*_head(results), "", *_strategies(results), "", *_shares(results)]
    if len(results.measures) > 1:
        parts += ["", *_comparisons(results)]
    notes = [*results.notes, *results.known.notes]
    parts += ["", *notes] if notes else []
    return "\n".join(parts)


def _head(results: Results) -> Iterator[str]:
    """Yields what was searched, by which rules, and how often."""
    known, head = results.known, results.head
    ground = head.ground if isinstance(head, About) else head
    said = [", ".join(f"{o.name} ({'up' if o.direction == 'maximize' else 'down'})" for o in known.objectives)]
    said += [f"with {', '.join(ground.constraints)}"] if ground is not None and ground.constraints else []
    if isinstance(ground, TableGround):
        said += [f"searched after {counted(ground.fidelity, 'epoch')}"] if ground.fidelity is not None else []
        said += [f"a repeated network {'counts' if ground.duplicates == 'count' else 'is served for nothing'}"]
    counts = {label: len(of) for label, of in results.trajectories.items()}
    repeats = next(iter(counts.values()))
    alike = len(set(counts.values())) == 1
    said += [counted(repeats, "repeat") if alike else "repeats: " + ", ".join(f"{label} {n:,}" for label, n in counts.items())]
    yield f"{known.title}: {'; '.join(said)}"


def _strategies(results: Results) -> Iterator[str]:
    """Yields one line a strategy: what was best in the end, and what it took."""
    summaries = results.summaries()
    has = {name: any(name in of for of in summaries.values()) for name in ("hypervolume", "simulated")}
    head = ["strategy", f"best {results.known.objectives[0].name}, mean +- sd (95 %)", "regret"]
    head += ["hypervolume"] * has["hypervolume"] + ["evaluations"] + [f"to {part:.0%}" for part in PARTS]
    rows = [head + ["distinct", "alike", "ms a proposal"] + ["simulated"] * has["simulated"]]
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
                f"{of['alike'].mean:.3f}" if of["alike"].count else "-",
                _milliseconds(of["seconds"]),
                *([spell_seconds(of["simulated"].mean) if "simulated" in of else "-"] if has["simulated"] else []),
            ]
        )
    yield aligned(rows)
    yield "columns are means over the repeats, each at its end; regret: how far best is from the best known"
    if results.known.reports_apart:
        yield "best: as it is reported, of the network that is best as a strategy sees them"
    parts = " and ".join(f"{part:.0%}" for part in PARTS)
    yield f"to {parts}: evaluations until the share below is that high, mean of the repeats that reach it; (1 of 20): how many do"
    yield "distinct: different networks among the proposals; alike: the largest share of a network's decisions that one earlier"
    yield "network of its repeat has alike (repetitions where they fit best), mean; random's is what chance gives"
    yield "ms a proposal: the median over repeats of each one's mean, the first proposal left out (libraries are loaded then)"


def _shares(results: Results) -> Iterator[str]:
    """Yields the shares of the known front's hypervolume at each mark, as searched and, where that differs, as reported."""
    names = ", ".join(objective.name for objective in results.known.objectives)
    yield f"share of the {results.known.front}'s hypervolume ({names}), mean +- sd (95 %)"
    rows = [["after", *results.measures]]
    summaries = results.summaries()
    for mark in results.marks:
        rows.append([f"{mark:,}", *(_spread(of[f"share at {mark}"]) for of in summaries.values())])
    for seconds in results.seconds:
        rows.append([_simulated(seconds), *(_spread(of[at_time(seconds)]) for of in summaries.values())])
    if results.known.reports_apart:
        last = results.marks[-1]
        rows.append([f"{last:,}, reported", *(_spread(of[f"reported share at {last}"]) for of in summaries.values())])
    yield aligned(rows)
    if results.known.reports_apart:
        yield "reported: the networks that are the front as a strategy sees them, in the values that are reported in the end"


def _comparisons(results: Results) -> Iterator[str]:
    """Yields each strategy held against the first."""
    comparisons = results.comparisons()
    alone = [label for label in list(results.measures)[1:] if label not in comparisons]
    yield f"against {next(iter(results.measures))}: Wilcoxon signed-rank, Holm-corrected; effect from -1 (worse) to 1 (better)"
    rows = [["strategy", "measure", "better", "worse", "p", "effect"]]
    spelled = {at_time(seconds): f"share at {_simulated(seconds)}" for seconds in results.seconds}
    for label, of in comparisons.items():
        rows += [[label, spelled.get(name, name), *_comparison(one)] for name, one in of.items()]
    if comparisons:
        yield aligned(rows)
        yield from _reading(comparisons)
    for label in alone:
        yield f"{label} has no repeat in common with the first, with the same seed, and is not compared"


def _reading(comparisons: dict[str, dict[str, Comparison]]) -> Iterator[str]:
    """Yields what the p values cover, and where there are too few pairs for any of them to be small."""
    tests = len(comparisons)
    covers = f"the {tests} strategies" if tests > 1 else "the strategies (here one)"
    yield f"Holm's correction covers {covers} tested at one measure, not the number of measures, which come from the same repeats"
    ends = {label: next(iter(of.values())) for label, of in comparisons.items()}
    few = {label: one for label, one in ends.items() if one.least > _LEVEL}
    if few:
        whose = "" if len(few) == tests else f" ({', '.join(few)})"
        least = min(few.values(), key=lambda one: one.least)
        yield (
            f"with {counted(least.pairs, 'pair')}{whose} p cannot fall below {least.least:.2g}, whatever the difference: "
            f"{fewest_pairs(tests, _LEVEL)} repeats are the fewest with which it can be under {_LEVEL}"
        )


def _comparison(one: Comparison) -> Sequence[str]:
    return str(one.better), str(one.worse), f"{one.p:.2g}", f"{one.effect:+.2f}"


def _simulated(seconds: float) -> str:
    return f"{spell_seconds(seconds)} simulated"


def _spread(one: Summary) -> str:
    if one.count < 2:
        return f"{one.mean:.4f}" if one.count else "-"
    return f"{one.mean:.4f} +- {one.sd:.4f} ({one.low:.4f} to {one.high:.4f})"


def _milliseconds(seconds: Summary) -> str:
    """Returns the median, since some repeats load libraries in their middle."""
    if not seconds.count:
        return "-"
    value = 1000 * seconds.median
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _reached(one: Summary) -> str:
    """Returns the mean number of evaluations, and how many repeats reached it where not all did."""
    if not one.count:
        return "never"
    return f"{one.mean:.0f}" + (f" ({one.count} of {one.of})" if one.count < one.of else "")
