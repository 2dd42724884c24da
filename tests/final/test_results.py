"""What is said of networks that were trained with one seed or several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nas.final.results import FinalTraining, TrainedNetwork, TrainedSeed, results_text, with_noise
from nas.intervals import wilson

IMAGES = 10_000


def network(name: str, *shares: float) -> TrainedNetwork:
    seeds = [TrainedSeed(i, "complete", "", 9, 1.0, {"test_accuracy": share}, None, None, None) for i, share in enumerate(shares)]
    return TrainedNetwork(name, name * 64, 1_000, 10_000, {}, tuple(seeds), IMAGES)


def test_one_seed_has_the_interval_of_its_images() -> None:
    one, two = with_noise([network("a", 0.91), network("b", 0.90)])
    assert one.noise is None and one.test_interval == wilson(0.91, IMAGES)
    assert not two.same_as(one)
    assert "--train-seeds 2" in results_text(FinalTraining(Path(), 9, (one, two)))


def test_the_spread_between_seeds_widens_intervals_and_tells_fewer_apart() -> None:
    calm = with_noise([network("a", 0.9101, 0.9099), network("b", 0.9001, 0.8999)])
    wild = with_noise([network("a", 0.918, 0.902), network("b", 0.908, 0.892)])
    for one in (*calm, *wild):
        low, high = wilson(one.test_accuracy or 0.0, IMAGES)
        assert one.test_interval is not None and one.test_interval[0] < low and one.test_interval[1] > high
    assert not calm[1].same_as(calm[0]) and wild[1].same_as(wild[0])
    assert "not told apart" not in results_text(FinalTraining(Path(), 9, calm))
    text = results_text(FinalTraining(Path(), 9, wild))
    assert "(not told apart from the one above)" in text
    assert "the interval is of both, 10,000 images and seeds" in text


def test_a_network_of_which_a_seed_failed_has_the_interval_of_the_others() -> None:
    broken = network("c", 0.89)
    seeds = (*broken.seeds, replace(broken.seeds[0], seed=1, outcome="crashed", metrics={}))
    whole, one = with_noise([network("a", 0.92, 0.90), replace(broken, seeds=seeds)])
    assert whole.test_interval is not None and one.test_interval is not None
    assert one.test_interval[1] - one.test_interval[0] > whole.test_interval[1] - whole.test_interval[0]
    assert one.test_accuracy == pytest.approx(0.89)


def test_who_is_told_apart_does_not_depend_on_who_asks() -> None:
    """A mean of four seeds and one of two: both ways they are compared as means of two."""
    found = set()
    for gap in (0.01, 0.014, 0.015, 0.016, 0.02):
        many, few = with_noise([network("a", 0.925, 0.915, 0.921, 0.919), network("b", 0.925 - gap, 0.915 - gap)])
        assert many.same_as(few) == few.same_as(many)
        found.add(many.same_as(few))
    assert found == {True, False}


def test_a_network_whose_test_failed_says_so() -> None:
    unseen = network("a")
    failed = replace(unseen, seeds=(TrainedSeed(0, "complete", "OSError: gone", 9, 1.0, {}, None, None, None),))
    text = results_text(FinalTraining(Path(), 9, with_noise([failed, network("b", 0.9)])))
    assert "a seed 0: not measured on the test images: OSError: gone" in text
