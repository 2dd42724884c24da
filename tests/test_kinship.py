"""Which repetition of a network is which of another one, and how much of it that one gives."""

from __future__ import annotations

from typing import Any

import pytest

from nas import Space, choice, integer
from nas.alignment import NOWHERE, matched
from nas.blocks import Block, Classifier, Conv, OneOf, Pool, Repeat, Residual, Sequential
from nas.kinship import aligned_paths, share_taken

STAGE = Sequential(
    Repeat(OneOf(Conv(channels=choice(2, 4, 8), kernel=choice(1, 3)), Residual(channels=choice(2, 4, 8))), times=integer(1, 4)),
    Pool(kind="max", kernel=2, stride=2),
)
SPACE = Space(Sequential(Repeat(STAGE, times=integer(1, 4), name="stage"), Classifier()), (1, 16, 16), 3, border="floor")


def network(*stages: str) -> dict[str, Any]:
    """Stages of blocks: `c4` is a 3x3 convolution of four channels, `p4` a 1x1 one, `r4` a residual block."""
    found: dict[str, Any] = {"stage.times": len(stages)}
    for i, stage in enumerate(stages):
        blocks = stage.split()
        found[f"stage[{i}].repeat.times"] = len(blocks)
        for j, block in enumerate(blocks):
            at, channels = f"stage[{i}].repeat[{j}]", int(block[1:])
            found[f"{at}.block"] = "residual" if block[0] == "r" else "conv"
            if block[0] == "r":
                found[f"{at}.residual.channels"] = channels
            else:
                found |= {f"{at}.conv.channels": channels, f"{at}.conv.kernel": 3 if block[0] == "c" else 1}
    return found


def moved(child: list[str], parent: list[str]) -> dict[str, str]:
    """Where blocks stood, without what always goes with a stage."""
    mine, theirs = network(*child), network(*parent)
    found = aligned_paths(SPACE.decode(mine).graph, SPACE.decode(theirs).graph, mine, theirs)
    return {label: before for label, before in found.items() if "repeat" in label}


@pytest.mark.parametrize(
    ("child", "parent", "expected"),
    [
        (["c4 r8"], ["c4 r8"], {}),
        (["c4 c2 r8"], ["c4 r8"], {"stage[0].repeat[2].residual": "stage[0].repeat[1].residual"}),
        (["c4 c4 r8"], ["c4 r8"], {"stage[0].repeat[2].residual": "stage[0].repeat[1].residual"}),
        (["r8"], ["c4 r8"], {"stage[0].repeat[0].residual": "stage[0].repeat[1].residual"}),
        (["c4", "r2", "c8"], ["c4", "c8"], {"stage[2].repeat[0].conv": "stage[1].repeat[0].conv"}),
        (["c4 c8"], ["r2", "c4 c8"], {f"stage[0].repeat[{j}].conv": f"stage[1].repeat[{j}].conv" for j in (0, 1)}),
        (["r2", "r2 c4"], ["c4"], {"stage[1].repeat[1].conv": "stage[0].repeat[0].conv"}),
        (
            ["c8", "c8 c4 r2"],
            ["c4 r2"],
            {
                "stage[0].repeat[0].conv": NOWHERE,
                "stage[1].repeat[1].conv": "stage[0].repeat[0].conv",
                "stage[1].repeat[2].residual": "stage[0].repeat[1].residual",
            },
        ),
        (["c4", "c4"], ["c4"], {}),  # of two alike the first is the old one
    ],
)
def test_repetitions_are_found_where_they_stood(child: list[str], parent: list[str], expected: dict[str, str]) -> None:
    assert moved(child, parent) == expected


def test_the_order_is_kept() -> None:
    """Two that changed places are not both the same as before: what agrees more is."""
    found = moved(["r8 c4"], ["c4 r8"])
    assert len(found) == 1


def test_a_repetition_of_tied_ones_is_found() -> None:
    inner = Repeat(Conv(channels=choice(2, 4), kernel=3), times=integer(1, 3), tied=True)
    space = Space(Sequential(Repeat(Sequential(Residual(4), inner), times=integer(1, 3), tied=True), Classifier()), (1, 8, 8), 3)
    graphs, genotypes = [], []
    for times in (1, 2):
        decided = {path: domain.at(0) for path, domain in space.decisions().items()}
        wanted = {path: times if path == "repeat.times" else value for path, value in decided.items()}
        genotypes.append(wanted)
        graphs.append(space.decode(wanted).graph)
    assert aligned_paths(graphs[1], graphs[0], genotypes[1], genotypes[0]) == {}
    assert 0.4 < share_taken(graphs[1], graphs[0]) < 1


def test_what_is_new_takes_nothing_from_its_namesake() -> None:
    """Inside a stage that moved, a new block stands before the old one, under its path."""
    mine, theirs = network("r2", "p2 c4"), network("c4")
    child, parent = SPACE.decode(mine).graph, SPACE.decode(theirs).graph
    pairs = matched(child, parent, aligned_paths(child, parent, mine, theirs))
    found = {child.labels[c]: parent.labels[p] for c, p in pairs.items() if "repeat" in child.labels[c]}
    assert found == {"stage[1].repeat[1].conv": "stage[0].repeat[0].conv"}


def test_shares_by_hand() -> None:
    def graph(*blocks: Block) -> Any:
        return Space(Sequential(*blocks, Classifier()), (2, 8, 8), 3).decode({}).graph

    small, more = graph(Conv(4)), graph(Conv(4), Residual(4))
    whole = 4 * 2 * 9 + 2 * 4 + 4 * 3 + 3
    assert share_taken(small, small) == share_taken(small, more) == share_taken(graph(Conv(8)), small) == 1
    assert share_taken(more, small) == pytest.approx(whole / (whole + 2 * (4 * 4 * 9 + 2 * 4)))
    assert share_taken(graph(Conv(4, kernel=5)), small) == pytest.approx(whole / (whole + 4 * 2 * 16))
    assert share_taken(graph(Conv(4, bias=True)), small) == pytest.approx(whole / (whole + 4))
