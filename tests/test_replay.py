"""Replaying steps, with a recorder that calls a step again: what CUDA's does, where there is no CUDA."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nas.recipe import Recipe
from nas.replay import Outputs, Recorder, Replay
from nas.step import Step


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(4, 3)
    )


def step_of(module: nn.Module) -> Step:
    return Step(module, Recipe(batch_size=8, lr=0.1), torch.device("cpu"), bf16=False)


def batches(count: int, size: int = 8) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(size, 1, 6, 6, generator=generator), torch.randint(0, 3, (size,), generator=generator)) for _ in range(count)
    ]


def called_again(step: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
    """Warms up and records as CUDA does, in that steps before the replay change weights; a replay calls the step."""
    step()
    outputs = step()

    def replay() -> None:
        for own, new in zip(outputs, step(), strict=True):
            own.copy_(new)

    return replay, outputs


def learnt(recorder: Recorder | None) -> tuple[list[float], dict[str, Tensor], Replay | None]:
    """Returns losses, weights in the end, and who replayed."""
    module = network()
    step = step_of(module)
    replay = Replay(step, recorder) if recorder else None
    torch.manual_seed(5)
    losses = []
    for i, (x, y) in enumerate(batches(6)):
        step.rate(0.1 / (1 + i))
        mixing = (y.flip(0), torch.tensor(0.75)) if i % 2 else ()
        losses.append((replay or step)(x, y, *mixing)[0].item())
    return losses, module.state_dict(), replay


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_replayed_steps_are_those_that_would_have_been_made() -> None:
    """To the bit, dropout and momentum included: recording and trying it leave no trace."""
    losses, weights, _ = learnt(None)
    replayed_losses, replayed_weights, replay = learnt(called_again)
    assert replay is not None and replay.works
    assert replayed_losses == losses
    assert same(replayed_weights, weights)


def test_momentum_from_before_is_kept() -> None:
    ends = []
    for replays in (False, True):
        module = network()
        step = step_of(module)
        torch.manual_seed(5)
        for x, y in batches(2):
            step(x, y)
        learn = Replay(step, called_again) if replays else step
        for x, y in batches(2):
            learn(x, y)
        ends.append(module.state_dict())
    assert same(*ends)


def test_each_shape_has_a_recording_of_its_own() -> None:
    recorded: list[int] = []

    def counting(step: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
        recorded.append(1)
        return called_again(step)

    replay = Replay(step_of(network()), counting)
    for size in (8, 4, 8, 4):
        replay(*batches(1, size)[0])
    assert len(recorded) == 2


def stale(step: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
    return lambda: None, tuple([output + 1 for output in step()])


def refusing(step: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
    step()
    raise RuntimeError("operation not permitted when stream is capturing\nmore of it")


@pytest.mark.parametrize(("recorder", "words"), [(stale, "a replayed step has loss"), (refusing, "operation not permitted")])
def test_what_cannot_be_recorded_is_made_step_by_step(recorder: Recorder, words: str, caplog: pytest.LogCaptureFixture) -> None:
    losses, weights, _ = learnt(None)
    with caplog.at_level("INFO", logger="nas"):
        plain_losses, plain_weights, replay = learnt(recorder)
    assert replay is not None and replay.works is False
    assert plain_losses == losses and same(plain_weights, weights)
    assert words in caplog.text and "more of it" not in caplog.text


def test_want_of_memory_is_told_and_the_weights_are_as_before() -> None:
    def starving(step: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
        step()
        raise torch.OutOfMemoryError("CUDA out of memory")

    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(torch.OutOfMemoryError):
        Replay(step_of(module), starving)(*batches(1)[0])
    assert same(before, module.state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_steps_are_really_recorded() -> None:
    module = network().cuda()
    step = Step(module, Recipe(batch_size=8, lr=0.1), torch.device("cuda"), bf16=False)
    replay = Replay(step)
    losses = [replay(x.cuda(), y.cuda())[0].item() for x, y in batches(1) * 30]
    assert replay.works
    assert losses[-1] < losses[0]
