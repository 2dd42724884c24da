"""Which weights a run keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas import weights
from nas.events import FrontPoint
from nas.weights import KeptWeights


@pytest.fixture
def kept(tmp_path: Path) -> KeptWeights:
    """The weights of trials 0 to 5."""
    found = KeptWeights(tmp_path, ())
    assert not found
    for trial in range(6):
        file = found.file(str(trial) * 32, "recipe")
        file.parent.mkdir(exist_ok=True)
        file.write_text(str(trial))
        found.add(trial, found.relative(str(file)))
    assert found
    return found


def left(folder: Path) -> str:
    return "".join(sorted(path.read_text() for path in (folder / "weights").iterdir()))


def test_those_of_the_front_of_what_is_wanted_and_of_what_is_needed_stay(kept: KeptWeights, tmp_path: Path) -> None:
    kept.keep([FrontPoint(2, "2" * 32, (0.0,), {})], wanted=[4, 17], needed=[1])
    assert left(tmp_path) == "124"
    assert kept.of(4).read_text() == "4"
    assert not kept.of(3).exists()
    assert not kept.of(99).exists()


def test_no_more_than_so_many_are_kept_for_a_strategy(kept: KeptWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MOST_KEPT", 2)
    kept.keep([], wanted=[9, 5, 3, 4, 0])
    assert left(tmp_path) == "35"  # the first ones that there are


def test_what_nobody_knows_is_swept(kept: KeptWeights, tmp_path: Path) -> None:
    (tmp_path / "weights" / "left.tmp").write_text("half")
    kept.sweep()
    assert left(tmp_path) == "012345"
