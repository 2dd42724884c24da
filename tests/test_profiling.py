"""What a space holds, as far as it is known before anything is trained."""

from __future__ import annotations

import numpy as np
import pytest

from nas.blocks import Classifier, Conv, Pool, Sequential
from nas.domains import choice
from nas.errors import ObjectiveError
from nas.problem import Problem
from nas.profiling import profile_space
from nas.space import Space

SPACE = Space(Sequential(Conv(channels=choice(200, 400)), Pool(kernel=choice(2, 16)), Classifier()), (1, 8, 8), 3)


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        (["params<=3"], r"none of 40 candidates is valid: params<=3 holds for none; the smallest params seen is 2,803$"),
        (["params>=1M"], r"params>=1M holds for none; the largest params seen is 5,603$"),
        (["share<=0.1"], r"share<=0\.1 holds for none; the smallest share seen is 0\.25$"),
    ],
)
def test_what_no_candidate_keeps_is_told_with_the_nearest_value(constraints: list[str], said: str) -> None:
    space = Space(Sequential(Conv(channels=choice(200, 400)), Classifier()), (1, 8, 8), 3)
    problem = Problem(space, ["params"], constraints, {"share": lambda graph: 0.25})
    with pytest.raises(ObjectiveError, match=said):
        profile_space(problem, np.random.default_rng(0), samples=40)


def test_what_cannot_be_built_is_told_by_the_block() -> None:
    space = Space(Sequential(Conv(2), Pool(kernel=choice(16, 17)), Classifier()), (1, 8, 8), 3)
    with pytest.raises(ObjectiveError, match=r"none of 5 candidates is valid: pool: .*does not fit into 8 x 8"):
        profile_space(Problem(space, ["params"]), np.random.default_rng(0), samples=5)


def test_shares_of_valid_and_rejected_candidates() -> None:
    profile, valid = profile_space(Problem(SPACE, ["params"]), np.random.default_rng(0), samples=60)
    assert profile.valid * 60 == len(valid) == 60 - profile.rejected["infeasible"]
    assert [candidate.costs["macs"] for candidate in valid] == sorted(candidate.costs["macs"] for candidate in valid)
    assert "does not fit" in profile.example
