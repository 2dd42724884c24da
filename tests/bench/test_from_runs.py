"""Real runs as trajectories, and what they are measured against: the front of all of them together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.bench.from_runs import SpaceGround, ground_of_run, trajectory_of_run
from nas.bench.known import Trajectory
from nas.bench.quality import Yardstick
from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.errors import RunError
from nas.loop import search
from nas.objectives import Objective, objectives
from nas.pareto import hypervolume
from nas.run import Run, open_run

OBJECTIVES = ("val_accuracy", "params")


def space() -> nas.Space:
    body = Sequential(Repeat(Conv(channels=nas.choice(2, 4, 8, 16)), times=nas.integer(1, 3)), Classifier())
    return nas.Space(body, input_shape=(1, 8, 8), classes=3, name="small")


def quality(architecture: nas.Space) -> dict[str, float]:
    if architecture.graph.output % 4 == 1:
        raise ValueError("not this one")
    return {"val_accuracy": 1 - 1 / (2 + nas.cost(architecture).params % 97)}


def made(folder: Path, **changes: object) -> Run:
    arguments = {"evaluations": 6, "strategy": "random", "objectives": OBJECTIVES, "seed": 3, **changes}
    return search(space(), evaluator=quality, out=folder, **arguments)  # type: ignore[arg-type]


def test_a_trajectory_is_what_the_run_evaluated(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    columns = list(space().decisions())
    trajectory = trajectory_of_run(run, columns)
    trials = run.trials()
    assert trajectory.proposals[-1] >= len(trajectory) == len(trials) == 6
    assert 0 < np.isnan(trajectory.searched).any(axis=1).sum() < 6  # some fail, not all
    np.testing.assert_array_equal(trajectory.searched[:, 0], trials.val_accuracy.to_numpy())
    for cells, genotype, failed in zip(trajectory.cells, trials.genotype, np.isnan(trajectory.searched[:, 0]), strict=True):
        assert [cell for cell in cells if cell] == [str(genotype[path]) for path in columns if path in genotype]
        assert cells.count("") == len(columns) - len(genotype)
        assert failed == (trials.outcome[list(trials.genotype).index(genotype)] != "complete")
    assert len(set(trajectory.networks)) == 6
    assert (trajectory.pair, trajectory.ended) == (3, "the budget of 6 evaluations is spent")
    assert np.isnan(trajectory.alike[0]) and (trajectory.alike[1:] > 0).all()


def test_seconds_of_a_proposal_are_unknown_only_where_a_start_begins(tmp_path: Path) -> None:
    made(tmp_path / "run", evaluations=2)
    trajectory = trajectory_of_run(made(tmp_path / "run", evaluations=6))
    unknown = np.isnan(trajectory.thinking)
    assert unknown[0] and 1 <= unknown[1:].sum() <= 1
    assert (trajectory.thinking[~unknown] > 0).all()


def test_a_run_without_evaluations_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "run")
    run = open_run(tmp_path / "run")
    run.rows = lambda: ([], [], {})  # type: ignore[method-assign]
    with pytest.raises(RunError, match="has evaluated no network so far; go on with it: nas resume"):
        trajectory_of_run(run)


def trajectory(*values: tuple[float, float]) -> Trajectory:
    n = len(values)
    found = np.array(values)
    blank = np.full(n, np.nan)
    return Trajectory(found, found, range(n), range(1, n + 1), blank, blank, ["sample"] * n, None, [()] * n, 0)


def ground(*constraints: str, names: tuple[str | Objective, ...] = OBJECTIVES) -> SpaceGround:
    return SpaceGround(objectives(names), constraints, "small 1234", "", 1, "f")


ONE, OTHER = trajectory((0.5, 1000), (np.nan, np.nan), (0.9, 50_000)), trajectory((0.7, 2000), (0.4, 80_000))


def test_all_runs_together_reach_all_of_the_best_known_front() -> None:
    known = ground("params<=100k").known([ONE, OTHER])
    both = trajectory(*ONE.searched.tolist(), *OTHER.searched.tolist())
    shares = [Yardstick(known).curves(one).share[-1] for one in (both, ONE, OTHER)]
    assert shares[0] == pytest.approx(1)
    assert 0 < shares[1] < 1 and 0 < shares[2] < 1
    assert Yardstick(known).curves(OTHER).regret.tolist() == pytest.approx([0.2, 0.2])


def test_a_failed_evaluation_changes_nothing() -> None:
    curves = Yardstick(ground().known([ONE, OTHER])).curves(trajectory((np.nan, np.nan), (0.5, 1000), (np.nan, np.nan)))
    assert np.isnan(curves.best[0]) and curves.share[0] == 0
    assert curves.best[1] == curves.best[2] == 0.5
    assert curves.share[1] == curves.share[2]


@pytest.mark.parametrize(
    ("constraints", "top"), [(("params<=100k",), 100_000), (("params<=1M", "params<90k"), 90_000), ((), 80_000)]
)
def test_a_cost_goes_by_its_logarithm_from_the_cheapest_seen_to_its_bound(constraints: tuple[str, ...], top: float) -> None:
    scale = ground(*constraints).known([ONE, OTHER]).scale
    halfway = np.sqrt(1000 * top)
    np.testing.assert_allclose(
        scale(np.array([[-0.9, 1000.0], [-0.4, top], [-0.65, halfway]])), [[0, 0], [1, 1], [0.5, 0.5]], atol=1e-12
    )


def test_the_plain_hypervolume_is_accuracy_as_it_is_and_costs_by_their_bounds() -> None:
    known = ground("params<=100k").known([ONE, OTHER])
    points = np.array([[0.5, 0.01], [0.1, 0.5]])
    assert Yardstick(known).raw(ONE) == pytest.approx(hypervolume(points, [1, 1]))
    assert known.raw_words == {"val_accuracy": "val_accuracy as it is", "params": "params / 100,000"}
    unbounded = ground().known([ONE, OTHER])
    assert unbounded.raw_words["params"] == "params / 80,000 (the largest seen)"
    assert Yardstick(unbounded).raw(ONE) == pytest.approx(hypervolume(points * [1, 100 / 80], [1, 1]))


def test_an_objective_of_ones_own_goes_from_best_to_worst_seen() -> None:
    known = ground(names=("score:max", "pain:min")).known([trajectory((5.0, 2.0), (7.0, 3.0))])
    assert known.scale.logarithmic == [False, False]  # nobody says that it is a cost
    np.testing.assert_allclose(known.scale(np.array([[-7.0, 2.0], [-5.0, 3.0]])), [[0, 0], [1, 1]])
    assert known.raw_words == {"score": "score from 7 to 5", "pain": "pain / 3 (the largest seen)"}


def test_other_precisions_are_told() -> None:
    alike, other = replace(ONE, trained="bf16 on cpu"), replace(OTHER, trained="fp32 on cpu")
    assert "(1 run in bf16 on cpu, 1 run in fp32 on cpu)" in ground().known([alike, other]).notes[-1]
    assert len(ground().known([alike, alike]).notes) == len(ground().known([ONE, OTHER]).notes) == 4


def test_one_run_is_not_all_runs() -> None:
    assert "the best known front is that of the one run here, and regret" in ground().known([ONE]).notes[0]
    assert "is that of all 2 runs here together, and regret" in ground().known([ONE, OTHER]).notes[0]


def test_where_everything_failed_there_is_nothing_to_tell() -> None:
    with pytest.raises(RunError, match="no network of small, evaluated by f was measured"):
        ground().known([trajectory((np.nan, np.nan))])


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"seed": 4, "strategy": "nsga2", "evaluations": 3}, True),
        ({"epochs": 4}, False),
        ({"constraints": ["params<=9k"]}, False),
        ({"objectives": ("val_accuracy", "macs")}, False),
    ],
)
def test_what_runs_must_have_in_common(tmp_path: Path, changes: dict[str, object], same: bool) -> None:
    one, other = made(tmp_path / "one"), made(tmp_path / "other", **changes)
    assert (ground_of_run(one) == ground_of_run(other)) is same
