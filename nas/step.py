"""One step of training: a batch forward and backward, and the optimiser."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.recipe import Recipe


class Step:
    """Learns from batches. Nothing in it waits for the device, or makes a tensor whose size depends on values.

    Args:
        module: On its device, in its memory layout; trained in place.
        recipe: Closed.
        place: The device.
        bf16: Whether to go forward by autocast to bf16.
        slices: Parts that each batch is gone through in, where memory is short of it all at once.
        weight: Of each class in the loss, `(classes,)`; None: all weigh the same.

    Attributes:
        optimizer: SGD with Nesterov momentum; weight decay on kernels and matrices, not on biases and normalisation.
    """

    def __init__(
        self, module: nn.Module, recipe: Recipe, place: torch.device, *, bf16: bool, slices: int = 1, weight: Tensor | None = None
    ) -> None:
        self._module, self._recipe, self._place, self._bf16 = module, recipe, place, bf16
        self._slices, self._weight = slices, weight
        parameters = [p for p in module.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.SGD(
            [group for group in groups if group["params"]],
            lr=recipe.lr,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            fused=True if place.type in ("cpu", "cuda") else None,
        )

    def rate(self, lr: float) -> None:
        """Sets the learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def __call__(self, x: Tensor, y: Tensor, others: Tensor | None = None, share: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Learns from a batch.

        Args:
            x: Images `(B, C, H, W)`.
            y: Their classes `(B,)`.
            others: Classes of the images that were mixed into them, `(B,)`; None: of none.
            share: Of the image itself in each mixture, a scalar.

        Returns:
            The mean loss, and how many images were labelled rightly, in mixtures by their shares; scalars on the device.
        """
        targets: list[Tensor] = [y]
        parts: list[Tensor | float] = [1.0]
        if others is not None and share is not None:
            targets, parts = [y, others], [share, 1 - share]
        self.optimizer.zero_grad(set_to_none=True)
        losses, found = [], []
        for piece, *wanted in zip(x.tensor_split(self._slices), *(t.tensor_split(self._slices) for t in targets), strict=True):
            with torch.autocast(self._place.type, torch.bfloat16, enabled=self._bf16):
                logits = self._module(piece)
            loss = self._loss(logits.float(), wanted, targets, parts)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            found.append(logits.detach().argmax(1))
        if self._recipe.grad_clip:
            nn.utils.clip_grad_norm_(self._module.parameters(), self._recipe.grad_clip)
        self.optimizer.step()
        labelled = torch.cat(found)
        right = [(labelled == target).sum() * part for target, part in zip(targets, parts, strict=True)]
        return torch.stack(losses).sum(), torch.stack(right).sum()

    def _loss(self, logits: Tensor, wanted: list[Tensor], targets: list[Tensor], parts: list[Tensor | float]) -> Tensor:
        """Returns what a piece of a batch adds to the mean cross-entropy.

        The mean is taken here: where classes have weights, that of `cross_entropy` waits for the device.

        Args:
            logits: Of the piece, `(P, classes)`.
            wanted: Its classes, `(P,)`, in each role.
            targets: Those of the whole batch, `(B,)`.
            parts: Of each role in the loss.
        """
        smoothing = self._recipe.label_smoothing
        losses = [F.cross_entropy(logits, y, self._weight, reduction="sum", label_smoothing=smoothing) for y in wanted]
        means = [loss / self._mass(all_) * part for loss, all_, part in zip(losses, targets, parts, strict=True)]
        return means[0] if len(means) == 1 else means[0] + means[1]

    def _mass(self, labels: Tensor) -> Tensor | float:
        """Returns how much images of these labels weigh in a mean."""
        return len(labels) if self._weight is None else self._weight[labels].sum()
