"""Scores of an untrained network from one look at a minibatch: how its signal flows, which inputs it tells apart. Larger is better.

Only their order means anything, and only among networks that were looked at with the same seed and the same images. None of them
sees a label. What they are worth on the images at hand, a search finds out (`nas.prescreen`).

* `synflow` (Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving synaptic flow", equation 2;
  as a score of networks: Abdelfattah et al. 2021, "Zero-cost proxies for lightweight NAS", section 3.2): every weight is made
  positive, an image of ones goes through, and |weight x gradient of the summed outputs| is summed over all kernels and matrices,
  without normalisation. In float64, and as a logarithm: the sums of deep networks reach 1e60.
* `naswot` (Mellor et al. 2021, "Neural architecture search without training", section 3): each image has a binary code, which
  activations are above zero; the logarithm of the determinant of the kernel of agreeing bits is large where codes differ.
* `jacob_cov` (Abdelfattah et al. 2021, section 3.2, after the first version of Mellor et al.): how little the gradients by the
  images resemble each other, -sum(log(v + k) + 1 / (v + k)) over the eigenvalues v of their correlation matrix, k = 1e-5.

Unlike in those papers, activations need be no modules and no ReLUs: whatever is called while the network runs is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nas.device import wants_memory
from nas.images import normaliser, placed

if TYPE_CHECKING:
    from nas.data import Dataset

BATCH = 64
"""Images that are looked at, as in Abdelfattah et al. 2021."""

_RECTIFIERS = frozenset(
    ("celu", "elu", "gelu", "hardswish", "hardtanh", "leaky_relu", "mish", "prelu", "relu", "relu6", "relu_", "selu", "silu")
)
_SATURATING = frozenset(["hardsigmoid", "logsigmoid", "sigmoid", "sigmoid_", "softsign", "tanh", "tanh_"])
_DROPOUTS = frozenset(["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"])
_NORMS = frozenset(["batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm"])
_LEAST_EIGENVALUE = 1e-5  # k of jacob_cov, as in the published code


class Scores:
    """The scores of one network, as far as there are any.

    Attributes:
        scores: Finite numbers by name.
        missing: Why there is no score, by name.
    """

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}
        self.missing: dict[str, str] = {}

    def take(self, name: str, compute: Callable[[], float]) -> None:
        """Adds a score, or the reason why there is none; memory that ran out is no reason but an outcome of its own."""
        try:
            self.scores[name] = compute()
        except NoScore as reason:
            self.missing[name] = str(reason)
        except (ArithmeticError, AttributeError, IndexError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if wants_memory(error):
                raise
            self.missing[name] = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


class NoScore(Exception):
    """A network that a score says nothing of; the message says why."""


def zero_cost_scores(module: nn.Module, images: Tensor) -> Scores:
    """Returns the scores of an untrained network.

    Args:
        module: Takes float images `(N, C, H, W)`, gives logits; on a CPU. It is of no use afterwards: its weights are changed.
        images: Normalised `(N, C, H, W)`, at least two.
    """
    found, seen = Scores(), _Seen(len(images))
    gradients: list[Tensor] = []

    def jacobian() -> float:
        gradients.append(image_gradients(module, images, seen))
        return jacob_cov(gradients[0])

    found.take("jacob_cov", jacobian)
    found.take("naswot", lambda: naswot(seen.kernel))
    found.take("synflow", lambda: synflow(module, images.shape[1:]))
    return found


def minibatch(dataset: Dataset, seed: int, count: int = BATCH) -> Tensor:
    """Returns training images as they are, normalised `(count, C, H, W)`, drawn by the seed; all of them where there are fewer."""
    place = torch.device("cpu")
    images = placed(dataset.images("train"), place)
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]
    return normaliser(dataset, place, torch.contiguous_format)(images[chosen])


# ---- synflow


def synflow(module: nn.Module, shape: tuple[int, ...]) -> float:
    """Returns the logarithm of the synaptic flow; its weights are made positive and float64, and stay so.

    The flow is defined for weights alone, so every activation passes what is positive as it is, also one that is no straight line
    (GELU), has an upper bound (ReLU6) or saturates (tanh). A sigmoid stays what it is: it gates more often than it activates.

    Args:
        module: The network.
        shape: Of one image, `(C, H, W)`.

    Raises:
        NoScore: When nothing flows, or more than a float64 holds.
    """
    module.double().eval()
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data.abs_()
    weights = [parameter.requires_grad_(True) for parameter in module.parameters() if parameter.ndim >= 2]
    if not weights:
        raise NoScore("it has no weights")
    with torch.enable_grad(), _Linear():
        flow = module(torch.ones(1, *shape, dtype=torch.float64)).sum()
        gradients = torch.autograd.grad(flow, weights, allow_unused=True)
    total = sum(float((w.detach() * g).abs().sum()) for w, g in zip(weights, gradients, strict=True) if g is not None)
    found = torch.tensor(total, dtype=torch.float64).log().item()
    return _finite(found, "nothing flows through it" if total == 0 else "more flows through it than a float64 holds")


class _Linear(TorchFunctionMode):
    """Leaves activations, normalisation and dropout out of everything that is computed inside."""

    _passed = _RECTIFIERS | _DROPOUTS | _NORMS | {"tanh", "tanh_"}

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        return _operand(args, kwargs) if func.__name__ in self._passed else func(*args, **kwargs)


# ---- codes and gradients, both from one run through the network


def image_gradients(module: nn.Module, images: Tensor, mode: TorchFunctionMode) -> Tensor:
    """Returns the gradients `(N, C, H, W)` of the summed outputs by the images; normalisation uses the statistics of the batch.

    Args:
        module: The network.
        images: `(N, C, H, W)`.
        mode: What looks on meanwhile.
    """
    module.train().requires_grad_(False)
    inputs = images.clone().requires_grad_(True)
    with torch.enable_grad(), mode:
        outputs = module(inputs)
    return torch.autograd.grad(outputs.sum(), inputs)[0]


class _Seen(TorchFunctionMode):
    """Sums up the kernel of the codes of all activations that are called inside; leaves dropout out.

    Args:
        count: Images; what has another first axis is no code of images.

    Attributes:
        kernel: `(N, N)`: on how many activations two images agree.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.kernel = torch.zeros(count, count, dtype=torch.float64)

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in _DROPOUTS:
            return _operand(args, kwargs)
        if func.__name__ in _RECTIFIERS | _SATURATING:
            value = _operand(args, kwargs)
            if isinstance(value, Tensor) and value.ndim > 1 and len(value) == len(self.kernel):
                self.kernel += agreement(value.detach())
        return func(*args, **kwargs)


def agreement(values: Tensor) -> Tensor:
    """Returns on how many of its values two images have the same sign, `(N, N)`, from `(N, ...)`.

    Mellor et al. 2021, equation 2: the number of activations less the Hamming distance of the codes.
    """
    codes = (values.flatten(1) > 0).float() * 2 - 1
    return (codes @ codes.T + codes.shape[1]).double() / 2


def naswot(kernel: Tensor) -> float:
    """Returns the logarithm of the determinant of a kernel of codes `(N, N)` (Mellor et al. 2021, equation 3).

    Raises:
        NoScore: When the kernel is singular: two images cannot be told apart, or there are hardly any activations.
    """
    if not kernel.any():
        raise NoScore("it has no activations")
    values = torch.linalg.eigvalsh(kernel)
    if values[0] <= len(values) * torch.finfo(values.dtype).eps * values[-1]:
        raise NoScore("it does not tell all images apart")
    return _finite(values.log().sum().item(), "its kernel is not finite")


def jacob_cov(gradients: Tensor) -> float:
    """Returns how little gradients `(N, ...)` resemble each other.

    Raises:
        NoScore: When the gradient of an image is the same everywhere, or not finite.
    """
    rows = gradients.flatten(1).double()
    correlations = torch.corrcoef(rows)
    if not correlations.isfinite().all():
        raise NoScore("the gradient of an image is constant or not finite")
    shifted = torch.linalg.eigvalsh(correlations) + _LEAST_EIGENVALUE
    return _finite(-(shifted.log() + 1 / shifted).sum().item(), "the correlation of its gradients has no determinant")


def _operand(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else kwargs["input"]


def _finite(score: float, otherwise: str) -> float:
    if not torch.tensor(score).isfinite():
        raise NoScore(otherwise)
    return score
