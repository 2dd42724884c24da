"""Strategies as they are written on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.bench.contestants import Contestant, contestants
from nas.errors import NasError
from nas.strategies.evolution import RegularizedEvolution


def test_names_settings_and_files_are_read() -> None:
    found = contestants("random, evolution(population=20, tournament=5),my.py:Own(word=deep,flag=true)")
    assert found[0] == Contestant("random", "random")
    assert found[1].options == {"population": 20, "tournament": 5}
    assert (found[2].name, found[2].options) == ("my.py:Own", {"word": "deep", "flag": True})
    assert found[1].make() == RegularizedEvolution(20, 5)


def test_a_strategy_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("from nas.strategies.random_search import RandomSearch\nclass Mine(RandomSearch):\n    pass\n")
    assert type(contestants(f"{path}:Mine")[0].make()).__name__ == "Mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no strategy given"),
        ("random,random", "'random' stands 2 times"),
        ("evolution(population)", r"'evolution\(population\)' cannot be read; expected NAME or NAME\(setting=value"),
        ("evolution(population=3", "cannot be read"),
        ("(a=1)", "cannot be read"),
        ("evoluton", "unknown strategy 'evoluton'; did you mean 'evolution'"),
        ("evolution(populatoin=3)", "did you mean 'population'"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(NasError, match=said):
        for one in contestants(text):
            one.make()
