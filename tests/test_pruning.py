"""Which cut comes first: the least important for what it saves, else what saves most; single steps and several at once."""

from __future__ import annotations

import pytest

from nas import Space, choice, integer
from nas.blocks import Block, Classifier, Conv, Repeat, Sequential
from nas.descent import cost_names, saved
from nas.domains import Genotype
from nas.errors import StrategyError
from nas.importance import SHARES, lost
from nas.problem import Problem
from nas.pruning import Cuts
from nas.source import module_names

BODY: tuple[Block, ...] = (
    Conv(channels=choice(4, 8), name="a"),
    Conv(channels=choice(4, 8), name="b"),
    Repeat(Conv(channels=choice(4, 8), kernel=3), times=integer(0, 3), name="r"),
    Classifier(),
)
WHOLE = {"a.channels": 8, "b.channels": 8, "r.times": 3, "r[0].channels": 8, "r[1].channels": 8, "r[2].channels": 8}


def problem(*blocks: Block) -> Problem:
    return Problem(Space(Sequential(*blocks), (2, 8, 8), 3), ("val_accuracy", "params"))


def importances(found: Problem, genotype: Genotype, matters: dict[str, float]) -> dict[str, list[float]]:
    """Every channel of a layer matters as `matters` says of its path, else 1."""
    graph = found.consider(genotype).graph
    return {
        name: [matters.get(graph.labels[i], 1.0) * graph.facts[i].shape[0] * j / SHARES for j in range(1, SHARES + 1)]
        for i, name in module_names(graph).items()
        if not name.startswith("bn")
    }


def test_the_least_important_for_what_it_saves_comes_first() -> None:
    found = problem(*BODY)
    given = importances(found, WHOLE, {"b": 0.001})
    cuts = list(Cuts(found, WHOLE, given, 0.0))
    assert cuts[0].words == ("b.channels 8 to 4",)
    whole = found.consider(WHOLE)
    names = cost_names(found, whole.costs)
    ranks = []
    for cut in cuts:
        now = found.consider(cut.genotype)
        assert cut.lost == lost(given, now.graph, whole.graph, cut.aligned)
        assert cut.saved == pytest.approx(saved(names, now.costs, whole.costs))
        ranks.append(cut.lost / cut.saved)
    assert ranks == sorted(ranks)
    assert {cut.words[0] for cut in cuts} >= {"a.channels 8 to 4", "r[1].channels 8 to 4"}


def test_of_equal_repetitions_the_least_important_one_goes() -> None:
    """All three ways lead to one network; the weights that stay are those of the two that matter."""
    found = problem(*BODY)
    out = [cut for cut in Cuts(found, WHOLE, importances(found, WHOLE, {"r[1]": 0.01}), 0.0) if cut.words[0].endswith("out")]
    assert [cut.words for cut in out] == [("r[1] out",)]
    assert out[0].aligned == {"r[1]": "r[2]"}


def test_without_importances_the_largest_saving_comes_first() -> None:
    found = problem(*BODY)
    cuts = list(Cuts(found, WHOLE, {}, 0.0))
    assert [cut.saved for cut in cuts] == sorted((cut.saved for cut in cuts), reverse=True)
    assert {cut.lost for cut in cuts} == {0.0}


def test_steps_are_added_until_enough_is_saved() -> None:
    found = problem(*BODY)
    given = importances(found, WHOLE, {"b": 0.001, "r[1]": 0.01})
    params = found.costs(WHOLE)["params"]
    cuts = list(Cuts(found, WHOLE, given, 0.5))
    assert len({cut.fingerprint for cut in cuts}) == len(cuts)
    several = [cut for cut in cuts if len(cut.words) > 1]
    assert several and cuts[0] in several
    assert all(found.costs(cut.genotype)["params"] <= params / 2 for cut in several)
    singles = {cut.fingerprint for cut in Cuts(found, WHOLE, given, 0.0)}
    assert singles <= {cut.fingerprint for cut in cuts}  # each step alone comes too, in the end
    moved = next(cut for cut in several if "r[1] out" in cut.words and not cut.words[0].startswith("r[0]"))
    assert moved.aligned["r[1]"] == "r[2]"


def test_a_cut_is_found_once_and_remembered() -> None:
    found = problem(*BODY)
    cuts = Cuts(found, WHOLE, {}, 0.3)
    first = next(iter(cuts))
    assert next(iter(cuts)) is first
    assert [cut.fingerprint for cut in cuts] == [cut.fingerprint for cut in Cuts(found, WHOLE, {}, 0.3)]


def test_the_smallest_network_has_no_cut() -> None:
    found = problem(*BODY)
    assert list(Cuts(found, {"a.channels": 4, "b.channels": 4, "r.times": 0}, {}, 0.3)) == []


def test_without_a_cost_nothing_is_smaller() -> None:
    found = problem(*BODY)
    found.consider(WHOLE).costs.clear()  # type: ignore[attr-defined]
    with pytest.raises(StrategyError, match="prune needs an exact cost"):
        Cuts(found, WHOLE, {}, 0.0)
