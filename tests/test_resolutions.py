"""Resolution as a fidelity: what is asked for, which networks can follow, and what training makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from train_jobs import train_job

from nas.arguments import check_resized
from nas.blocks import Block, Classifier, Conv, Inception, OneOf, Pool, Residual, Sequential, SqueezeExcite
from nas.costs import cost_of
from nas.domains import choice
from nas.errors import BlockError, RunError
from nas.graph import Graph
from nas.problem import RESOLUTIONS, Problem, Rejected
from nas.resolutions import at_resolution, checked_resolutions, fitting_resolutions, misfit, sides_at
from nas.space import Space


def built(*blocks: Block, shape: tuple[int, int, int] = (1, 28, 28)) -> Graph:
    return Space(Sequential(*blocks), shape, 10, "floor").decode({}).graph


# ---- what is asked for


@pytest.mark.parametrize(
    ("given", "rungs", "said"),
    [
        ((14, 28), (1, 3, 9), "resolutions 14,28 do not fit epochs 1,3,9: give several rising epochs"),
        ((28,), (3,), "do not fit epochs 3"),
        ((20, 14, 28), (1, 3, 9), r"resolutions is \(20, 14, 28\), expected pixels that do not become fewer"),
        ((14.0, 20, 28), (1, 3, 9), "expected pixels"),
        ("14,20,28", (1, 3, 9), "expected pixels"),
        ((14, 20), (1, 3), "resolutions end with 20, expected 28: at the highest rung images are as they are, 28 x 28 pixels"),
        ((2, 28), (1, 3), "resolution 2 leaves 2 x 2 pixels of an image, expected at least 4"),
        ((-1, 28), (1, 3), "resolution -1 leaves 1 x 1 pixels"),
    ],
)
def test_resolutions_that_make_no_sense(given: tuple[int, ...], rungs: tuple[int, ...], said: str) -> None:
    with pytest.raises(RunError, match=said) as caught:
        checked_resolutions(given, rungs, (1, 28, 28))
    assert "\n" not in str(caught.value)


def test_resolutions_of_rungs_that_were_raised() -> None:
    assert checked_resolutions([14, 14, 28], (1, 3, 9), (1, 28, 28)) == (14, 14, 28)
    assert fitting_resolutions((14, 20, 28), (1, 3, 9), (1, 3, 9)) == (14, 20, 28)
    assert fitting_resolutions((14, 20, 28), (1, 3, 9), (4, 9)) == (20, 28), "rungs of 1 and of 3 epochs are one of 4"
    assert fitting_resolutions((14, 20, 28), (1, 3, 9), (2, 3, 9)) == (14, 20, 28)
    assert fitting_resolutions((14, 20, 28), (1, 3, 9), (9,)) == (28,)


def test_sides_keep_their_ratio() -> None:
    assert sides_at((3, 28, 28), 14) == (14, 14)
    assert sides_at((3, 32, 48), 24) == (16, 24)
    assert sides_at((3, 33, 48), 24) == (17, 24)
    assert sides_at((3, 48, 1), 24) == (24, 1)


# ---- which networks can follow

GLOBAL = (Conv(8), Residual(16, stride=2, shortcut="pad"), Inception(16), SqueezeExcite(), Pool(), Classifier())


def test_multiply_adds_follow() -> None:
    graph = built(*GLOBAL)
    small = at_resolution(graph, 14)
    assert small.input_shape == (1, 14, 14) and small.labels == graph.labels and small.output_shape == (10,)
    assert cost_of(small).params == cost_of(graph).params and cost_of(small).macs < cost_of(graph).macs / 3.5
    assert at_resolution(graph, 28).facts == graph.facts
    assert misfit(graph, (14, 20, 28)) == "" == misfit(graph, ())


@pytest.mark.parametrize(
    ("blocks", "resolution", "said"),
    [
        (
            (Conv(4), Classifier(pool="none")),
            14,
            r"classifier has 31,370 weights, and 7,850 for images of 14 x 14 pixels; pool globally",
        ),
        (
            (Conv(4, 9, padding="valid"), Pool(kernel=4), Pool(kernel=4), Classifier()),
            14,
            "does not fit into .* for images of 14 x 14 pixels",
        ),
    ],
)
def test_networks_that_cannot(blocks: tuple[Block, ...], resolution: int, said: str) -> None:
    graph = built(*blocks)
    with pytest.raises(BlockError, match=said):
        at_resolution(graph, resolution)
    with pytest.raises(Rejected, match=said) as caught:
        Problem(Space(Sequential(*blocks), (1, 28, 28), 10, "floor"), ["params"], (), None, (resolution, 28)).consider({})
    assert caught.value.reason == RESOLUTIONS and "\n" not in str(caught.value)
    assert misfit(graph, (28,)) == ""


def test_a_space_of_which_no_network_can() -> None:
    space = Space(Sequential(Conv(choice(4, 8)), OneOf(Classifier(pool="none"), Conv(10))), (1, 28, 28), 10)
    with pytest.raises(
        RunError, match=r"none of 100 networks drawn from the space .*: oneof.classifier has \d+,\d+ weights"
    ) as caught:
        check_resized(Problem(space, ["params"], (), None, (14, 28)), (), (14, 28))
    assert "\n" not in str(caught.value)
    some = Space(Sequential(Conv(choice(4, 8)), OneOf(Classifier(pool="none"), Classifier(name="head"))), (1, 28, 28), 10)
    check_resized(Problem(some, ["params"], (), None, (14, 28)), (), (14, 28))
    check_resized(Problem(space, ["params"]), (), ())


# ---- what training makes of it


def images(tmp_path, n: int = 64):  # type: ignore[no-untyped-def]
    from nas.data import load_data

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 1, 12, 16), dtype=np.uint8)
    return load_data((x, np.arange(n) % 2), val_share=0.25, test_share=0.25, cache_dir=tmp_path)


def test_each_cycle_sees_its_own_size(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Segments at rising sizes give what one training gives, bit for bit."""
    import torch
    from torch import nn

    from nas.recipe import Recipe
    from nas.train import train

    torch.set_num_threads(1)
    dataset, seen = images(tmp_path), []

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.linear = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((self.training, tuple(x.shape[2:])))
            y: torch.Tensor = self.linear(self.conv(x).mean((2, 3)))
            return y

    def fresh() -> Watched:
        torch.manual_seed(0)
        return Watched()

    recipe, sizes = Recipe(batch_size=16), dict(cycles=(1, 2), resolutions=(8, 12, 16))
    whole = train(module := fresh(), dataset, recipe, epochs=4, **sizes)  # type: ignore[arg-type]
    shown = [sorted(set(entry[1] for entry in seen if entry[0] is training)) for training in (True, False)]
    assert shown == [[(6, 8), (9, 12), (12, 16)]] * 2
    assert [size for _, size in seen] == sorted(size for _, size in seen), "never smaller again"
    parts, before = fresh(), None
    for begin, end in ((0, 1), (1, 2), (2, 4)):
        after = tmp_path / f"{end}.safetensors"
        found = train(
            parts,
            dataset,
            recipe,
            epochs=4,
            first_epoch=begin,
            last_epoch=end,
            resume_from=before,
            checkpoint=after,
            **sizes,  # type: ignore[arg-type]
        )
        parts, before = fresh(), after
    assert found.metrics["val_loss"] == whole.metrics["val_loss"]
    plain = train(fresh(), dataset, recipe, epochs=4, cycles=(1, 2))
    same = train(fresh(), dataset, recipe, epochs=4, cycles=(1, 2), resolutions=(16, 16, 16))
    assert plain.metrics["val_loss"] == same.metrics["val_loss"] != whole.metrics["val_loss"]
    assert module.conv.weight.grad is not None


def test_a_job_trains_at_the_size_of_its_rung(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from nas.perform import perform
    from nas.recipe import Recipe
    from nas.source import write_source

    dataset = images(tmp_path)
    source = write_source(built(Conv(4), Classifier(), shape=(1, 12, 16)))
    jobs = [
        train_job(source, dataset, epochs=3, recipe=Recipe(batch_size=16), last_epoch=1, cycles=(1,), resolutions=sizes)
        for sizes in ((8, 16), (16, 16), ())
    ]
    small, large, none = (perform(job, lambda entry: None).metrics["val_loss"] for job in jobs)
    assert small != large == none


@pytest.mark.slow
def test_a_search_over_rising_sizes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The same networks in the same order again, a lower rung on smaller images, and one size for each rung of the run."""
    import nas
    from nas.cli.options import pixels
    from nas.rebuild import rebuild
    from nas.recompute import verify

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1_100, 1, 8, 8), dtype=np.uint8)
    x[::2, :, :4] //= 2  # darker above
    space = Space(Sequential(Conv(choice(2, 4, 8), 3, 2), Classifier(pool=choice("avg", "none"))))
    given = dict(
        data=(x, np.arange(1_100) % 2), data_options={"val_share": 0.1, "test_share": 0.1}, evaluations=3, epochs=(1, 2), workers=1,
        recipe=nas.Recipe(batch_size=8), out=tmp_path / "run", strategy="random", deterministic=True,
    )  # fmt: skip
    run = nas.search(space, resolutions=pixels("4,8"), **given)  # type: ignore[arg-type]
    assert run.settings["resolutions"] == [4, 8] and run.rungs == (1, 2)
    assert sum(row.rejected.get("resolutions", 0) for row in run.rows()[0]) > 0, "a head over pixels cannot follow"
    assert not verify(run, *rebuild(run))
    small = {row.fingerprint: row.measurement.metrics["val_loss"] for row in run.rows()[1] if row.to_epoch == 1}
    with pytest.raises(nas.NasError, match="resolutions"):
        nas.search(space, **given)  # type: ignore[arg-type]
    plain = nas.search(space, **{**given, "out": tmp_path / "plain"})  # type: ignore[arg-type]
    large = {row.fingerprint: row.measurement.metrics["val_loss"] for row in plain.rows()[1] if row.to_epoch == 1}
    both = set(small) & set(large)
    assert both and all(small[fingerprint] != large[fingerprint] for fingerprint in both)


@pytest.mark.parametrize("text", ["14,,28", "14,x", "", "-1,4"])
def test_options_that_are_no_pixels(text: str) -> None:
    from nas.cli.options import pixels

    with pytest.raises(RunError, match="expected pixels, one number an epoch"):
        pixels(text)
    assert pixels(None) == []
