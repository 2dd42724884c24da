"""A found network made deeper and wider: as a space with nothing open, or one in which how deep and how wide are open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import cast

from nas.addresses import Network, find_network
from nas.blocks import Block, Scaled
from nas.blocks.scaled import LARGEST_FACTOR, Grown, deepened, widened
from nas.domains import Domain
from nas.errors import BlockError, SpaceError, brief
from nas.graph import Graph
from nas.library import load_space
from nas.space import Architecture, Space


@dataclass(frozen=True)
class Scaling:
    """What was scaled, and what it became.

    Attributes:
        network: The network as it was, for the images that the scaled one is for.
        space: The scaled one.
        grown: What is repeated in it, with the smallest number of repetitions asked for and with the largest.
        scaled: The scaled networks by (repeats, width): one, or those of the values that are open.
    """

    network: Network
    space: Space
    grown: tuple[tuple[Grown, Grown], ...]
    scaled: dict[tuple[float, float], Network]


def scale(
    network: str | Path | Space | Architecture,
    repeats: float = 1,
    width: float = 1,
    *,
    sample: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> Space:
    """Returns a network stacked deeper and made wider: a space with nothing left open, its blocks those of the network.

    `nas.scale("cifar-resnet-20", repeats=3)` is ResNet-56; `nas.scale("runs/small@best", repeats=3, width=2,
    input_shape=(3, 224, 224), classes=100)` takes a cell that was searched small to larger images (Zoph et al. 2018, section 3;
    Tan and Le 2019, section 3.3). What is repeated, and what stays, is told by `nas.blocks.Scaled`. With
    `repeats=choice(2, 3, 4)` or `width=choice(1.0, 1.5, 2.0)` the network's cells are frozen, and these alone are open.

    Args:
        network: What `nas.find_network` finds, if its blocks are known: not a graph alone.
        repeats: How many times as often each repetition is repeated, rounded up.
        width: How many times as many channels there are.
        sample: Seed of the genotype drawn from an open space.
        input_shape: `(channels, height, width)` of the images it is for; as before where left out.
        classes: Likewise.

    Raises:
        SpaceError: When a factor makes no sense, the blocks are not known, or nothing in the network repeats.
        BlockError: When a block cannot be applied in the scaled network; names block, path and shape.
        NasError: When there is no such network.
    """
    return scaling(network, repeats, width, sample=sample, input_shape=input_shape, classes=classes).space


def scaling(
    network: str | Path | Space | Architecture,
    repeats: float = 1,
    width: float = 1,
    *,
    sample: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> Scaling:
    """Returns what `scale` does, and what it made of what; see there."""
    depths, widths = _factors("repeats", repeats), _factors("width", width)
    before = _found(network, sample, input_shape, classes)
    net = cast("Architecture", before.architecture)
    grown = [_deeper(net, times)[1] for times in (min(depths), max(depths))]
    if not grown[0] and {*depths} != {1}:
        raise SpaceError(
            f"nothing in {before.name} is repeated, so repeats={brief(repeats)} cannot be applied: it has no Repeat, "
            "no NasnetStack and no neighbours that are alike; scale its width alone, or write Repeat(...) around what repeats"
        )
    name, open_ = f"{Path(before.name).name} scaled", isinstance(repeats, Domain) or isinstance(width, Domain)
    body = Scaled(net.body, repeats, width) if open_ else widened(_deeper(net, repeats)[0], width)
    space = Space(body, net.input_shape, net.classes, net.border, net.recipe, name=name)
    scaled = {(d, w): _decoded(space, d, w) for d, w in product(depths, widths)}
    return Scaling(before, space, tuple(zip(*grown, strict=True)), scaled)


def _factors(name: str, given: object) -> tuple[float, ...]:
    """Returns every factor that is asked for.

    Raises:
        SpaceError: When one is no number that can scale anything.
    """
    values = given.examples() if isinstance(given, Domain) else (given,)
    for value in values:
        if type(value) not in (int, float) or not 0 < cast("float", value) <= LARGEST_FACTOR:
            raise SpaceError(
                f"{name} is {brief(given)}, expected numbers above 0, at most {LARGEST_FACTOR:,}, such as 3, 1.5 or choice(2, 3)"
            )
    return cast("tuple[float, ...]", values)


def _found(
    address: str | Path | Space | Architecture, sample: int | None, shape: tuple[int, int, int] | None, classes: int | None
) -> Network:
    """Returns the network with its blocks, made for these images.

    Raises:
        SpaceError: When its blocks are not known.
    """
    first = shape, classes  # networks of runs and of open spaces are found for their own images, then made anew
    if isinstance(address, str | Path) and "@" in str(address):
        first = None, None
    elif sample is not None and not isinstance(address, Architecture | Graph):
        space = load_space(address)
        first = space.input_shape or shape, space.classes or classes
    found = find_network(address, sample=sample, input_shape=first[0], classes=first[1])
    net = found.blocks
    if net is None:
        known = "its graph alone" if isinstance(address, Graph) or found.found is None else "its record alone, without blocks"
        raise SpaceError(
            f"{found.name} is known by {known}, so what repeats in it is not told; name the space, the classic network or the run "
            "that it comes from, or scale it from Python where its blocks are your own: nas.scale(space)"
        )
    net = replace(net, input_shape=shape or net.input_shape, classes=net.classes if classes is None else classes)
    return replace(found, architecture=net, graph=net.graph, fingerprint=net.fingerprint)


def _deeper(net: Architecture, times: float) -> tuple[Block, tuple[Grown, ...]]:
    return deepened(net.body, times, net.input_shape, net.border, net.classes)


def _decoded(space: Space, repeats: float, width: float) -> Network:
    """Returns the network of these factors.

    Raises:
        BlockError: When it cannot be built.
    """
    wanted = {"repeats": repeats, "width": width}
    net = space.decode({path: wanted[path.rpartition(".")[2]] for path in space.decisions()})
    try:
        return find_network(net)
    except BlockError as error:
        raise BlockError(f"with repeats={repeats:g} and width={width:g}: {error}") from None
