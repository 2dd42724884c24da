"""Weights, optimiser state and scores of channels as safetensors: read without executing anything, replaced by rename."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import EvaluationError
from nas.files import replacing

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

MOMENTUM = "momentum/"
"""Prefix of the optimiser's tensors; a slash never stands in the name of a weight."""
SCORE = "score/"
"""Prefix of the scores of a module's output channels."""
LIVE = "live/"
"""Prefix of the weights that training goes on with, where those under plain names are their average."""


def save_checkpoint(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    scores: Mapping[str, Tensor] | None = None,
    live: Mapping[str, Tensor] | None = None,
) -> None:
    """Writes weights, buffers and momentum under a temporary name, then renames: the file is whole or is not there.

    Args:
        path: Where to; its folder is made.
        module: Its `state_dict` is kept under plain names.
        optimizer: An SGD over `module.parameters()`, in any grouping.
        epochs: Epochs trained so far, kept in the file's header.
        scores: Importance of the output channels of modules, by the module's name.
        live: What training goes on with, where the module holds an average of it.
    """
    from safetensors.torch import save_file

    tensors = {**module.state_dict(), **{SCORE + name: tensor for name, tensor in (scores or {}).items()}}
    tensors |= {LIVE + name: tensor for name, tensor in (live or {}).items()}
    for name, parameter in module.named_parameters():
        buffer = optimizer.state[parameter].get("momentum_buffer") if parameter in optimizer.state else None
        if buffer is not None:
            tensors[MOMENTUM + name] = buffer
    # clones, because safetensors refuses tensors that share memory; on the host, in the plain layout
    plain = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        save_file(plain, temporary, metadata={"epochs": str(epochs)})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Returns the weights and buffers alone, ready for `load_state_dict`.

    Raises:
        EvaluationError: When the file is missing or no safetensors file.
    """
    return _weights(_read(path)[0])


def read_scores(path: Path) -> dict[str, Tensor]:
    """Returns the importance of output channels, `(channels,)` by the module's name; empty where none was measured.

    Raises:
        EvaluationError: When the file is missing or no safetensors file.
    """
    return {name.removeprefix(SCORE): tensor for name, tensor in _read(path)[0].items() if name.startswith(SCORE)}


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Puts weights, buffers and momentum back where `save_checkpoint` took them from, the weights that training goes on with.

    Args:
        path: The file.
        module: On its device already, in its memory layout.
        optimizer: An SGD over `module.parameters()`, in any grouping.

    Returns:
        How many epochs had been trained.

    Raises:
        EvaluationError: When the file is missing, no safetensors file, or holds another network's weights.
    """
    import torch

    tensors, epochs = _read(path)
    live = {name.removeprefix(LIVE): tensor for name, tensor in tensors.items() if name.startswith(LIVE)}
    try:
        module.load_state_dict(live or _weights(tensors))
    except RuntimeError as error:
        raise EvaluationError(f"checkpoint {str(path)!r} holds another network's weights: {' '.join(str(error).split())}") from None
    for name, parameter in module.named_parameters():
        if MOMENTUM + name in tensors:
            buffer = torch.empty_like(parameter, requires_grad=False)  # on its device, in its memory layout
            optimizer.state[parameter]["momentum_buffer"] = buffer.copy_(tensors[MOMENTUM + name])
    return epochs


def _weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith((MOMENTUM, SCORE, LIVE))}


def _read(path: Path) -> tuple[dict[str, Tensor], int]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            return {name: file.get_tensor(name) for name in file.keys()}, int(metadata.get("epochs", 0))  # noqa: SIM118
    except FileNotFoundError:
        raise EvaluationError(f"checkpoint {str(path)!r} is not there: it was deleted or moved") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise EvaluationError(f"checkpoint {str(path)!r} cannot be read: {error}") from None
