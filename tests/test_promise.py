"""The promise of untrained networks and what it was worth: small cases by hand, and what must not move them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nas.measurement import Measurement, Outcome
from nas.objectives import objectives
from nas.promise import MEAN, judged_by, promises, recorded_worths, useless, worths
from nas.rows import EvaluationRow, Scored, ScreeningRow


def drawn(count: int, seed: int = 0, **weights: float) -> tuple[list[Scored], np.ndarray, np.ndarray]:
    """Networks whose scores grow with cost; `weights` say how much a hidden quality adds. Returns them, cost and quality."""
    rng = np.random.default_rng(seed)
    cost, quality = rng.uniform(0, 3, count), rng.normal(size=count)
    scores = {name: 2 * cost + weight * quality + 0.3 * rng.normal(size=count) for name, weight in weights.items()}
    found = [
        Scored(f"n{i}", {**{name: float(s[i]) for name, s in scores.items()}, "params": math.exp(cost[i])}, (float(cost[i]),))
        for i in range(count)
    ]
    return found, cost, quality


def test_without_an_exact_objective_the_promise_is_the_mean_rank() -> None:
    """Ranks 0, 1/2, 1 and 1, 0, 1/2; their means 1/2, 1/4, 3/4, whose mean is 1/2."""
    candidates = [Scored(n, {"a": a, "b": b}) for n, a, b in (("x", 1, 30), ("y", 2, 10), ("z", 5, 20))]
    assert promises(candidates) == pytest.approx([0, -0.25, 0.25])


def test_equal_scores_share_a_rank_and_those_left_out_decide_nothing() -> None:
    candidates = [Scored(n, {"a": a, "b": b}) for n, a, b in (("x", 1, 9), ("y", 4, 5), ("z", 4, 1))]
    assert promises(candidates, {"b"}) == pytest.approx([-0.5, 0.25, 0.25])
    assert promises(candidates) == pytest.approx([0, 1 / 8, -1 / 8])


def test_params_and_depth_are_scores_but_no_look_at_a_network() -> None:
    candidates = [Scored(n, {"a": a, "depth": d}) for n, a, d in (("x", 1, 9), ("y", 4, 5), ("z", 5, 1))]
    assert promises(candidates) == pytest.approx([0, 0, 0])
    unseen = promises([*candidates, Scored("w", {"params": 1, "depth": 3, MEAN: 0.7})])
    assert unseen is not None and math.isnan(unseen[3])


def test_a_missing_score_is_no_low_score() -> None:
    candidates = [Scored("w", {}), Scored("x", {"a": 1.0}), Scored("y", {"a": 2.0, "b": 3.0}), Scored("z", {"a": 3.0, "b": 2.0})]
    found = promises(candidates)
    assert found is not None
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([-5 / 12, 1 / 3, 1 / 12])  # 0; (1/2 + 1) / 2; (1 + 0) / 2, less their mean


def test_nothing_is_promised_before_cost_can_be_told_apart() -> None:
    candidates, _, _ = drawn(9, a=1.0)
    assert promises(candidates[:8]) is None
    assert promises(candidates) is not None
    assert promises([]) is None
    flat = [Scored(c.fingerprint, c.scores, (5.0,)) for c in candidates[:3]]  # all cost the same: there is nothing to tell apart
    assert promises(flat) is not None


def test_the_promise_does_not_favour_large_networks_and_finds_good_ones() -> None:
    candidates, cost, quality = drawn(300, a=1.0, b=1.0)
    found = promises(candidates)
    assert found is not None
    assert abs(np.corrcoef(found, cost)[0, 1]) < 0.05
    assert np.corrcoef(found, quality)[0, 1] > 0.8
    assert 0 < found.min() < 0.1 and 0.9 < found.max() < 1
    chosen = [cost[i : i + 10][int(np.argmax(found[i : i + 10]))] for i in range(0, 300, 10)]
    assert 1.1 < float(np.mean(chosen)) < 1.9  # the mean cost is 1.5; by rank alone it would be 2.6
    by_rank = [cost[i : i + 10][np.argmax([c.scores["a"] for c in candidates[i : i + 10]])] for i in range(0, 300, 10)]
    assert float(np.mean(by_rank)) > 2.3


def test_the_cheapest_networks_are_judged_among_themselves() -> None:
    """Three costs, of which the middle one has by far the highest scores: a curve that no polynomial of two terms follows."""
    rng = np.random.default_rng(5)
    level = np.repeat([0.0, 1.0, 2.0], 40)
    scores = np.where(level == 1, 10.0, level) + 0.1 * rng.normal(size=120)
    found = promises([Scored(f"n{i}", {"a": float(a)}, (float(c),)) for i, (a, c) in enumerate(zip(scores, level, strict=True))])
    assert found is not None
    for which in range(3):
        among = found[level == which]
        assert among.max() > 0.95 and among.min() < 0.05
        assert int(np.argmax(among)) == int(np.argmax(scores[level == which]))


def test_only_what_is_wanted_is_promised() -> None:
    candidates, _, _ = drawn(30, a=1.0)
    whole, some = promises(candidates), promises(candidates, wanted={"n3", "n7"})
    assert whole is not None and some is not None
    assert np.flatnonzero(np.isfinite(some)).tolist() == [3, 7]
    assert some[[3, 7]].tolist() == whole[[3, 7]].tolist()


def test_every_cost_is_as_likely_to_have_the_most_promising_network() -> None:
    """Also where scores of small networks vary ten times as much as those of large ones."""
    rng = np.random.default_rng(3)
    cost = rng.uniform(0, 1, 400)
    scores = cost + (1.05 - cost) * rng.normal(size=400)
    found = promises([Scored(f"n{i}", {"a": float(a)}, (float(c),)) for i, (a, c) in enumerate(zip(scores, cost, strict=True))])
    assert found is not None
    chosen = [cost[i : i + 10][int(np.argmax(found[i : i + 10]))] for i in range(0, 400, 10)]
    assert 0.4 < float(np.mean(chosen)) < 0.6


def test_a_score_keeps_its_promise_however_it_is_scaled() -> None:
    candidates, _, _ = drawn(40, a=1.0, b=0.5)
    scaled = [Scored(c.fingerprint, {"a": math.exp(c.scores["a"]), "b": c.scores["b"] * 1e6}, c.costs) for c in candidates]
    assert promises(scaled) == pytest.approx(promises(candidates, {"params"}))


def test_the_order_of_candidates_does_not_matter() -> None:
    candidates, _, _ = drawn(40, a=1.0)
    forth, back = promises(candidates), promises(candidates[::-1])
    assert forth is not None and back is not None
    assert back[::-1] == pytest.approx(forth)


def test_worth_tells_a_score_that_follows_cost_from_one_that_knows_more() -> None:
    candidates, cost, quality = drawn(120, knows=1.0, follows=0.0)
    promised = promises(candidates)
    assert promised is not None
    candidates = [replace(c, scores={**c.scores, MEAN: p}) for c, p in zip(candidates, promised, strict=True)]
    judged = worths(candidates[:60], (np.tanh(cost) + 0.2 * quality)[:60].tolist(), candidates)
    found = {worth.name: worth for worth in judged}
    assert list(found) == ["knows", "follows", "params", MEAN]
    knows, follows = found["knows"].equal_cost, found["follows"].equal_cost
    plain = found["follows"].plain
    assert knows is not None and follows is not None and plain is not None
    assert plain.low > 0.2  # which is what makes it look useful
    assert follows.low < 0 < follows.high
    assert knows.low > 0.3
    assert knows.count == 60
    assert found["params"].equal_cost is None  # at equal cost it ranks nothing
    mean = found[MEAN].equal_cost
    assert mean is not None and 0.2 < mean.tau < knows.tau
    assert "params" in useless(judged) and "knows" not in useless(judged) and MEAN not in useless(judged)
    assert useless(worths(candidates[:19], quality[:19].tolist(), candidates)) == set()  # too few to judge


def test_what_was_not_measured_or_measured_later_is_left_out() -> None:
    candidates, _, quality = drawn(30, a=1.0)
    candidates = [replace(c, scores={**c.scores, MEAN: c.scores["a"]}) for c in candidates]
    screenings = [ScreeningRow(i, (candidates[i], candidates[i + 10]), chosen=i % 2) for i in range(20)]
    screenings.append(ScreeningRow(20, (), off="useless"))
    accuracy = {c.fingerprint: float(q) for c, q in zip(candidates, quality, strict=True)}

    def row(number: int, first: int, outcome: Outcome = Outcome.COMPLETE) -> EvaluationRow:
        screening = screenings[number]
        name = screening.candidates[screening.chosen].fingerprint if screening.candidates else "n0"
        measured = Measurement(outcome, {"val_accuracy": accuracy[name]} if outcome.measured else {})
        return EvaluationRow(number, name, "r", "d", 0, first, first + 1, measured)

    rows = [row(i, 0) for i in range(15)] + [row(15, 0, Outcome.CRASHED), row(3, 1), row(20, 0)]
    found = recorded_worths(objectives(["val_accuracy", "params"]), screenings, rows)
    assert found[-1].name == MEAN
    assert found[-1].plain is not None and found[-1].plain.count == 15
    assert recorded_worths(objectives(["val_accuracy"]), screenings, rows[15:16]) == []


def test_verdicts_are_asked_for_ever_more_seldom() -> None:
    assert [judged_by(measured) for measured in (0, 19, 20, 39, 40, 79, 80, 200)] == [0, 0, 20, 20, 40, 40, 80, 160]


def test_a_score_that_is_the_same_everywhere_is_useless_once_enough_have_it() -> None:
    """As `depth` is in a space of one depth."""
    candidates, cost, quality = drawn(40, knows=1.0)
    candidates = [replace(c, scores={**c.scores, "depth": 7.0}) for c in candidates]
    judged = worths(candidates[:30], (np.tanh(cost) + 0.2 * quality)[:30].tolist(), candidates)
    assert {"depth", "params"} <= useless(judged) and "knows" not in useless(judged)
