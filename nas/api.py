"""One network in Python, in one call: its graph, its costs, its identity, its module.

Each function takes what `nas.addresses.find_network` takes: a `Space` with nothing open (or with a genotype), an `Architecture`,
a `Graph`, or an address such as "runs/first@best", "vgg-d" or "my_space.py".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nas.addresses import Network, find_network
from nas.costs import Cost, cost_of
from nas.domains import Genotype
from nas.errors import EvaluationError, SpaceError
from nas.graph import Graph
from nas.library import load_space
from nas.ops import RecordedOp
from nas.source import write_source
from nas.space import Architecture, Space

if TYPE_CHECKING:
    from torch import nn

AnyNetwork = str | Path | Space | Architecture | Graph


def build_graph(
    network: AnyNetwork,
    genotype: Genotype | None = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> Graph:
    """Returns the simplified graph of a network, in canonical order.

    Args:
        network: The network or where it is found.
        genotype: Its decisions, where `network` is an open space.
        input_shape: `(channels, height, width)` to make it for; its own where left out.
        classes: Likewise.

    Raises:
        NasError: When there is no such network, or a block of it cannot be applied.
    """
    return _found(network, genotype, input_shape, classes).graph


def cost(
    network: AnyNetwork,
    genotype: Genotype | None = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> Cost:
    """Returns the exact cost of a network: parameters, multiply-adds, memory; see `nas.costs.Cost` for the units.

    Args:
        network: The network or where it is found.
        genotype: Its decisions, where `network` is an open space.
        input_shape: `(channels, height, width)` to make it for; its own where left out.
        classes: Likewise.

    Raises:
        NasError: When there is no such network, or a block of it cannot be applied.
    """
    return cost_of(_found(network, genotype, input_shape, classes).graph)


def fingerprint(
    network: AnyNetwork,
    genotype: Genotype | None = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> str:
    """Returns 32 hexadecimal digits that are equal for two networks when they compute the same, and only then.

    Args:
        network: The network or where it is found.
        genotype: Its decisions, where `network` is an open space.
        input_shape: `(channels, height, width)` to make it for; its own where left out.
        classes: Likewise.

    Raises:
        NasError: When there is no such network, or a block of it cannot be applied.
    """
    return _found(network, genotype, input_shape, classes).fingerprint


def compile(
    network: AnyNetwork,
    genotype: Genotype | None = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    seed: int = 0,
    trust_code: bool = False,
) -> nn.Module:
    """Returns a network as a PyTorch module with initial weights; it is compiled from the text that `nas export` writes.

    Args:
        network: The network or where it is found.
        genotype: Its decisions, where `network` is an open space.
        input_shape: `(channels, height, width)` to make it for; its own where left out.
        classes: Likewise.
        seed: Of the initial weights. The global generator of torch is left as it was.
        trust_code: Whether code that a run or a JSON file brings along may be executed: operations of somebody's own.

    Raises:
        NasError: When there is no such network, a block of it cannot be applied, or it needs code that is not trusted.
    """
    import torch

    from nas.module import compile_source

    found = _found(network, genotype, input_shape, classes)
    own = [op for op in found.graph.ops if isinstance(op, RecordedOp)]
    if own and not trust_code:
        raise EvaluationError(
            f"{found.name} holds an operation of somebody's own ({own[0].name[:40]}), whose code would be executed; "
            "say trust_code=True where you trust it"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return compile_source(write_source(found.graph))


def _found(
    network: AnyNetwork, genotype: Genotype | None, input_shape: tuple[int, int, int] | None, classes: int | None
) -> Network:
    if genotype is None:
        return find_network(network, input_shape=input_shape, classes=classes)
    if isinstance(network, Architecture | Graph):
        raise SpaceError(f"a genotype closes a space, but the network given is {type(network).__name__}; leave the genotype out")
    space = load_space(network)
    shape, number = input_shape or space.input_shape, classes or space.classes
    return find_network((space.bind(shape, number) if shape and number else space).decode(genotype))
