"""An exponential moving average of a network's weights, as mean teachers have it (Tarvainen and Valpola 2017, section 2)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Average:
    """A second network that follows the first one; normalisation's running statistics are averaged like weights.

    Args:
        module: Whose weights it begins with.
        decay: Share that stays each step; in the first steps less, (1 + step) / (10 + step), so that where training began is
            forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).requires_grad_(False)
        self._first, self._decay = module, decay
        ours, theirs = self.module.state_dict(), module.state_dict(keep_vars=True)
        names = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        self._ours, self._theirs = [ours[name] for name in names], [theirs[name] for name in names]
        self._counters = [(ours[name], theirs[name]) for name in ours.keys() - set(names)]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves towards the first network; `step` counts from 0 over the whole training."""
        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._ours, [tensor.detach() for tensor in self._theirs], weight)
        for mine, other in self._counters:
            mine.copy_(other)

    def take_over(self) -> dict[str, Tensor]:
        """Gives the first network the averaged weights; returns those it had."""
        live = {name: tensor.clone() for name, tensor in self._first.state_dict().items()}
        self._first.load_state_dict(self.module.state_dict())
        return live
