"""What was trained again, from rows alone."""

from __future__ import annotations

from dataclasses import replace

from nas.again import Again, Plan, gathered, plan_from_json
from nas.measurement import Measurement, Outcome
from nas.rows import EvaluationRow

PLAN = Plan("seeds", (0, 1), ((6, "d"), (7, "d")), (400, 400), 4, 9)


def row(proposal: int, accuracy: float, begin: int = 0, end: int = 9, seed: int = 5, data: str = "d") -> EvaluationRow:
    measured = Measurement(Outcome.COMPLETE, {"val_accuracy": accuracy}, epochs=end)
    return EvaluationRow(proposal, f"{proposal}" * 64, "r", data, seed, begin, end, measured)


def failed(one: EvaluationRow) -> EvaluationRow:
    return replace(one, measurement=Measurement(Outcome.DIVERGED, epochs=one.to_epoch, error="the loss was nan"))


OWN = [row(0, 0.90, 0, 3), row(1, 0.80, 0, 3), row(0, 0.92, 3, 9), row(1, 0.82, 3, 9)]
AGAIN = [row(0, 0.90, seed=6), row(1, 0.84, seed=6), row(0, 0.91, seed=7), row(1, 0.83, seed=7)]


def means(found: Again | None) -> dict[int, float]:
    assert found is not None
    return {proposal: round(found.means(proposal)["val_accuracy"], 6) for proposal in found.results}


def test_means_are_over_trainings_of_as_many_epochs() -> None:
    found = gathered(PLAN, OWN, AGAIN)
    assert means(found) == {0: 0.91, 1: 0.83}
    assert found is not None and (found.rounds, found.trainings) == (2, 3)
    briefer = [replace(one, to_epoch=3) for one in AGAIN]  # before the search had reached 9
    assert means(gathered(PLAN, OWN, briefer)) == {}
    assert means(gathered(PLAN, OWN, [*briefer, *AGAIN[:2]])) == {0: 0.91, 1: 0.83}, "one round of two"


def test_a_network_that_failed_further_up_has_the_mean_of_what_it_did_before() -> None:
    """Its training of 3 epochs is the one by which it was chosen, as long as nobody got further."""
    plan = replace(PLAN, epochs=3, segments=3)
    own = [*OWN[:2], failed(row(0, 0.0, 3, 5))]
    again = [replace(one, to_epoch=3) for one in AGAIN]
    found = gathered(plan, own, again)
    assert means(found) == {0: 0.903333, 1: 0.823333}
    assert found is not None
    merged = found.merged(own)
    assert [(one.to_epoch, one.measurement.metrics.get("val_accuracy")) for one in merged[::2]] == [
        (3, found.means(0)["val_accuracy"]),
        (5, None),
    ]


def test_one_fold_is_no_mean() -> None:
    plan = Plan("folds", (0, 1), ((6, "a"), (7, "b")), (200, 200), 4, 9)
    again = [replace(one, data="a" if one.seed == 6 else "b") for one in AGAIN]
    half, whole = gathered(plan, OWN, again[:2]), gathered(plan, OWN, again)
    assert half is not None and (half.rounds, half.trainings, half.results) == (0, 0, {})
    assert means(whole) == {0: 0.905, 1: 0.835}
    noise = whole.noise("val_accuracy") if whole else None
    assert noise is not None and (noise.images, noise.trainings) == (400, 2)


def test_the_training_that_was_picked_says_nothing_of_the_spread() -> None:
    """It is high because it was picked: with it, noise between seeds looks larger than it is."""
    calm = [row(0, 0.90, seed=6), row(1, 0.80, seed=6), row(0, 0.90, seed=7), row(1, 0.80, seed=7)]
    found = gathered(PLAN, OWN, calm)
    noise = found.noise("val_accuracy") if found else None
    assert noise is not None and (noise.ratio, noise.freedom, noise.trainings) == (0.0, 2, 3)
    once = gathered(PLAN, OWN, calm[:2])  # nothing else to go by
    alone = once.noise("val_accuracy") if once else None
    assert alone is not None and alone.ratio > 0 and alone.trainings == 2


def test_a_plan_of_an_older_version_has_the_epochs_of_the_search() -> None:
    stored = {"kind": "seeds", "proposals": [0, 1], "rounds": [[6, "d"], [7, "d"]], "images": [400, 400], "segments": 4}
    assert plan_from_json(stored, 9) == PLAN == plan_from_json({**stored, "epochs": 9}, 27)
