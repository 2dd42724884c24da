"""Makes repeats of unequal length comparable, and says in a sentence each what was left out, cut or carried forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.bench.known import Trajectory
from nas.lines import counted, spell_seconds

ByLabel = Mapping[str, Sequence[Trajectory]]


def cut(trajectories: ByLabel, evaluations: int) -> tuple[ByLabel, list[str]]:
    """Returns no more than so many evaluations of each repeat, and a sentence where any had more."""
    longer = [one for of in trajectories.values() for one in of if len(one) > evaluations]
    if not longer:
        return trajectories, []
    found = {label: [one.first(evaluations) for one in of] for label, of in trajectories.items()}
    whose = f"{counted(len(longer), 'repeat')} of them {'holds' if len(longer) == 1 else 'hold'} up to {max(map(len, longer)):,}"
    return found, [f"Asked for are {counted(evaluations, 'evaluation')}, and {whose}: what came later is left out of all figures."]


def without_unfinished(trajectories: ByLabel, evaluations: int) -> tuple[ByLabel, list[str]]:
    """Returns the repeats that have so many evaluations, or ended by themselves, and a sentence on the others.

    Where none has, all are kept.
    """

    def is_whole(one: Trajectory) -> bool:
        return len(one) >= evaluations or one.ended_by_itself

    found = {label: [one for one in of if is_whole(one)] for label, of in trajectories.items()}
    short = [(label, one) for label, of in trajectories.items() for one in of if not is_whole(one)]
    if not short or not any(found.values()):
        return trajectories, []
    said = ", ".join(f"{label} ({len(one):,} of {evaluations:,} evaluations)" for label, one in short)
    return {label: of for label, of in found.items() if of}, [
        f"Left out until finished: {said}; the same nas bench command goes on with {'it' if len(short) == 1 else 'them'}."
    ]


def even(trajectories: ByLabel) -> tuple[ByLabel, list[str]]:
    """Returns all repeats over the number of evaluations that they have in common, and a sentence where that is not all.

    A strategy that ended by itself would have found nothing more, so its repeats count as long as the others.
    """
    most = common(trajectories)
    if all(len(one) <= most for of in trajectories.values() for one in of):
        return trajectories, []
    found = {label: [one.first(most) for one in of] for label, of in trajectories.items()}
    return found, [
        f"Repeats are of unequal length ({lengths(trajectories)}): every figure is of the first "
        f"{counted(most, 'evaluation')} of each, which all have."
    ]


def within(trajectories: ByLabel, seconds: float) -> tuple[ByLabel, list[str]]:
    """Returns what each repeat evaluated within a simulated time, and a sentence where any went on."""
    ends = {
        label: [sum(at <= seconds for at in one.spent.tolist()) if one.spent is not None else len(one) for one in of]
        for label, of in trajectories.items()
    }
    if all(n == len(one) for label, of in trajectories.items() for n, one in zip(ends[label], of, strict=True)):
        return trajectories, []
    found = {label: [one.first(n) for n, one in zip(ends[label], of, strict=True)] for label, of in trajectories.items()}
    return found, [
        f"Simulated budgets differ: every figure is of the first {spell_seconds(seconds)} of each repeat, which all have."
    ]


def common(trajectories: ByLabel) -> int:
    """Returns how many evaluations all repeats have, those left out that ended by themselves."""
    every = [one for of in trajectories.values() for one in of]
    return min((len(one) for one in every if not one.ended_by_itself), default=max(map(len, every)))


def lengths(trajectories: ByLabel) -> str:
    """Returns how many evaluations the repeats of each strategy have: "random 6, nsga2 8 to 10"."""
    ends = {label: (min(map(len, of)), max(map(len, of))) for label, of in trajectories.items()}
    return ", ".join(f"{label} {low:,}" + f" to {high:,}" * (high > low) for label, (low, high) in ends.items())


def early(trajectories: ByLabel) -> list[str]:
    """Returns a sentence on each strategy that ended by itself: when, why, and what becomes of its figures."""
    ended = {label: [one for one in of if one.ended_by_itself] for label, of in trajectories.items()}
    return [_early(label, of, len(trajectories[label])) for label, of in ended.items() if of]


def _early(label: str, ended: Sequence[Trajectory], repeats: int) -> str:
    ends = [len(one) for one in ended]
    span = counted(ends[0], "evaluation") if min(ends) == max(ends) else f"{min(ends):,} to {max(ends):,} evaluations"
    return (
        f"{label} ended by itself after {span} in {len(ended)} of {counted(repeats, 'repeat')}; what it had is carried forward, "
        f"since it would have found nothing more: {ended[0].ended}."
    )


def heirs(trajectories: ByLabel) -> list[str]:
    """Returns a sentence on networks that began with the weights of others; none where no network did."""
    inherited = {label: sum(len(one.heirs) for one in of) for label, of in trajectories.items()}
    if not any(inherited.values()):
        return []
    said = ", ".join(f"{n:,} of {label}'s" for label, n in inherited.items() if n)
    return [
        f"{counted(sum(inherited.values()), 'network')} inherited weights ({said}): "
        "their accuracies include their parents' training."
    ]
