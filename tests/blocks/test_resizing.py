"""The resolution as a decision: what it costs, when it is nothing, and what PyTorch and Pillow make of it."""

from __future__ import annotations

import numpy as np
import pytest

from nas.blocks import Block, Classifier, Conv, Parallel, Pool, Resize, Sequential
from nas.costs import cost_of
from nas.domains import choice
from nas.graph import Graph
from nas.ops import Resize2d
from nas.outline import op_words
from nas.space import Space

TAIL = (Conv(8), Pool(), Conv(16), Classifier())


def built(*blocks: Block, shape: tuple[int, int, int] = (1, 28, 28)) -> Graph:
    return Space(Sequential(*blocks), shape, 10, "floor").decode({}).graph


def test_multiply_adds_follow_the_resolution() -> None:
    space = Space(Sequential(Resize(choice(14, 28, 56)), *TAIL), (1, 28, 28), 10)
    costs = [cost_of(space.decode({"resize.size": size}).graph) for size in (14, 28, 56)]
    last = 16 * 10
    assert [cost.macs - last for cost in costs] == [(n * n * 8 + n * n // 4 * 16 * 8) * 9 for n in (14, 28, 56)]
    assert len({cost.params for cost in costs}) == 1 and costs[0].activation_memory < costs[1].activation_memory
    assert space.size() == 3


def test_the_size_that_an_image_has_is_nothing() -> None:
    plain = Space(Sequential(*TAIL), (1, 28, 28), 10).decode({})
    same = Space(Sequential(Resize(28), Resize((28, 28)), *TAIL), (1, 28, 28), 10).decode({})
    other = Space(Sequential(Resize((28, 27)), *TAIL), (1, 28, 28), 10, "floor").decode({})
    assert same.fingerprint == plain.fingerprint != other.fingerprint
    assert cost_of(same.graph) == cost_of(plain.graph)


def test_equal_sizes_of_one_image_are_made_once() -> None:
    graph = built(Parallel(Sequential(Resize(8), Conv(4)), Sequential(Resize((8, 8)), Conv(4, 5)), merge="concat"), Classifier())
    assert sum(isinstance(op, Resize2d) for op in graph.ops) == 1


def test_words() -> None:
    assert op_words(Resize2d((16, 20)), (1, 28, 28)) == "resize to 16x20"


@pytest.mark.parametrize("place", ["image", "features"])
@pytest.mark.parametrize("last", [False, True])
def test_a_step_in_bf16_and_both_layouts(place: str, last: bool) -> None:
    """PyTorch itself resizes no bf16 on a CPU; what stands behind a convolution is of that type under autocast."""
    import torch

    from nas.module import compile_source
    from nas.source import write_source

    torch.manual_seed(0)
    body = (Resize((16, 1)), Conv(8)) if place == "image" else (Conv(8), Resize(20), Conv(8))
    text = write_source(built(*body, Classifier()))
    module, other = compile_source(text).train(), compile_source(text).train()
    other.load_state_dict(module.state_dict())
    x = torch.randn(4, 1, 28, 28)
    memory = torch.channels_last if last else torch.contiguous_format
    with torch.autocast("cpu", torch.bfloat16):
        found = module(x.contiguous(memory_format=memory))
    expected = other(x)
    for y in (found, expected):
        y.float().square().sum().backward()
    assert found.dtype is torch.bfloat16 and torch.allclose(found.float(), expected, atol=0.05)
    for p, q in zip(module.parameters(), other.parameters(), strict=True):
        assert p.grad is not None and q.grad is not None and (p.grad - q.grad).norm() < 0.1 * q.grad.norm() + 0.01


def values(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import torch

    from nas.module import compile_source
    from nas.source import write_source

    module = compile_source(write_source(built(Resize(size), shape=x.shape[1:])))
    return np.asarray(module(torch.from_numpy(x)))


@pytest.mark.parametrize(("shape", "size"), [((28, 28), (20, 20)), ((28, 28), (14, 9)), ((9, 30), (30, 9)), ((5, 5), (40, 1))])
def test_photos_are_resized_by_the_same_rule(shape: tuple[int, int], size: tuple[int, int]) -> None:
    from PIL import Image

    x = np.random.default_rng(0).standard_normal((1, 1, *shape)).astype(np.float32)
    photo = Image.fromarray(x[0, 0]).resize(size[::-1], Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(photo) - values(x, size)[0, 0]).max() < 1e-5


def test_a_normalised_image_stays_one_and_a_mirrored_one_too() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 28, 26))
    y = values(x, (20, 17))
    assert np.allclose(values(2 * x - 3, (20, 17)), 2 * y - 3, atol=1e-12)
    assert np.allclose(values(x[..., ::-1].copy(), (20, 17)), y[..., ::-1], atol=1e-12)


def test_a_network_that_grows_behind_it_goes_on_as_it_is() -> None:
    from nas.growth import beginning

    def net(channels: int, size: int) -> Graph:
        return built(Resize(size, name="image"), Conv(channels), Resize(9, name="late"), Conv(8, name="last"), Classifier())

    assert beginning(net(16, 20), net(8, 20)).is_exact
    changed = beginning(net(16, 16), net(8, 20))
    assert not changed.is_exact and len(changed.taken) == 5, "all layers are taken, at another resolution"
