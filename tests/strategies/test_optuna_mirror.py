"""The mirror that Optuna's samplers look at: its fixed-length vector, and what it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState

from nas.optuna_mirror import Encoding, Mirror
from nas.strategies.base import History, Trial
from nas.strategies.optuna_samplers import OptunaTPE


def states(mirror: Mirror) -> list[TrialState]:
    return [trial.state for trial in mirror.trials()]


def test_the_encoding_names_every_decision_with_a_choice(lab: Any) -> None:
    encoding = Encoding(lab.space.decisions())
    assert len(encoding.decisions) == 19
    assert set(encoding.distributions) == {path for path, domain in lab.space.decisions().items() if domain.size != 1}


def test_positions_lead_back_to_the_genotype(lab: Any) -> None:
    encoding = Encoding(lab.space.decisions())
    for seed in range(20):
        genotype = lab.space.sample(np.random.default_rng(seed))
        again = lab.space.project(encoding.assignment(encoding.positions(Trial(0, genotype, "f"))))
        lr = genotype.pop("recipe.lr")
        assert again.pop("recipe.lr") == pytest.approx(lr)
        assert again == genotype


def test_failed_infinite_and_pending_trials_are_told_as_such(lab: Any) -> None:
    problem = lab.problem()
    a, b, c, d = lab.grow(problem, OptunaTPE(), 4)
    mirror = Mirror(problem)
    pending = Trial(4, d.genotype, d.fingerprint, notes=d.notes)
    mirror.catch_up(History((a, replace(b, losses=None), replace(c, losses=(float("inf"), 1.0)), d), (pending,)))
    assert states(mirror) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE, TrialState.RUNNING]
    later = History((a, replace(b, losses=None), replace(c, losses=(float("inf"), 1.0)), d, lab.end(pending, (0.5, 2.0))))
    assert mirror.leads_to(problem, later)
    mirror.catch_up(later)
    assert states(mirror)[4] is TrialState.COMPLETE
    assert mirror.trials()[4].values == [0.5, 2.0]


def test_a_mirror_knows_what_it_cannot_catch_up_with(lab: Any) -> None:
    problem = lab.problem()
    record = lab.grow(problem, OptunaTPE(), 5)
    mirror = Mirror(problem)
    mirror.catch_up(History(record[:3], (Trial(3, record[3].genotype, "f"),)))
    assert mirror.leads_to(problem, History(record))
    assert not mirror.leads_to(problem, History(record[:2]))
    assert not mirror.leads_to(problem, History(record[:3]))  # what was pending is gone
    assert not mirror.leads_to(lab.problem(), History(record))
    assert not mirror.leads_to(problem, History([*record[:3], replace(record[4], id=3)]))  # it is another now
