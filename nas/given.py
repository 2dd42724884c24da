"""Networks that a search is given: those it starts from, and those it is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas.addresses import Network, find_network
from nas.errors import GenotypeError, NasError, RunError, StrategyError
from nas.run import run_in

if TYPE_CHECKING:
    from nas.domains import Genotype
    from nas.problem import Problem
    from nas.space import Space


def find_starts(addresses: Sequence[str] | Mapping[str, Genotype], problem: Problem) -> dict[str, Genotype]:
    """Returns the genotypes of networks, made anew for the images and classes of a space, that keep its constraints.

    Args:
        addresses: See `nas.find_network`; or the genotypes themselves, by name.
        problem: What is searched.

    Raises:
        NasError: When there is no such network, the space does not contain it, or a constraint refuses it.
    """
    space, starts = problem.space, dict[str, "Genotype"]()
    for address in _distinct("start_from", addresses):
        try:
            if isinstance(addresses, Mapping):
                starts[address] = addresses[address]
                problem.consider(starts[address])
                continue
            network = find_network(address, input_shape=space.input_shape, classes=space.classes)
            starts[address] = _genotype(network, problem)
        except NasError as error:
            raise StrategyError(f"cannot start from {address}: {error}") from None
    return starts


def recorded_starts(folder: str | Path | None, addresses: Sequence[str] | Mapping[str, Genotype]) -> dict[str, Genotype]:
    """Returns the starts of the run in a folder where it began with the same addresses; empty where it did not.

    What an address leads to may have changed meanwhile: a file, or which network of another run is the best.
    """
    run = None if isinstance(addresses, Mapping) else run_in(folder)
    starts = {} if run is None else run.start_from
    return starts if list(starts) == list(dict.fromkeys(addresses)) else {}


def _genotype(network: Network, problem: Problem) -> Genotype:
    """Returns the decisions that make a network: the recorded ones where they do, else those that its blocks match.

    Raises:
        NasError: When there are none, or a constraint refuses them.
    """
    recorded = network.found.genotype if network.found else {}
    if recorded:
        with suppress(NasError):  # of another space: the blocks decide; of this one, but refused: told below
            if problem.consider(recorded).fingerprint == network.fingerprint:
                return recorded
    if network.blocks is None and not recorded:
        raise StrategyError("only its operations are known; name it by its blocks, as a classic network or FILE.py:NAME")
    try:
        if network.blocks is None:
            problem.consider(recorded)
            raise StrategyError("its decisions make another network there; name it by its blocks, as FILE.py:NAME")
        encoded = problem.space.encode(network.blocks)
    except (GenotypeError, StrategyError) as error:
        if network.found is None:
            raise
        ours, theirs = problem.space.name or _NAMELESS, network.found.run.settings["space"]["name"] or _NAMELESS
        raise StrategyError(f"it was found in space {theirs!r}, not in {ours!r}: {error}") from None
    problem.consider(encoded)
    return encoded


_NAMELESS = "without a name"


def _distinct(what: str, addresses: Iterable[str]) -> list[str]:
    """Returns each address once.

    Raises:
        RunError: When they are no list.
    """
    if isinstance(addresses, str):
        raise RunError(f"{what} is a list, got {addresses!r}; write {addresses.split(',')!r}")
    return list(dict.fromkeys(addresses))


def find_baselines(addresses: Sequence[str], space: Space) -> list[Network]:
    """Returns networks made anew for the images and classes of a space, whether it contains them or not.

    Args:
        addresses: See `nas.find_network`.
        space: With input shape and classes known.

    Raises:
        NasError: When there is no such network, or it cannot take these images; says which block fails where.
    """
    found = []
    input_shape, classes = space.input_shape, space.classes
    for address in _distinct("baselines", addresses):
        try:
            network = replace(find_network(address, input_shape=input_shape, classes=classes), name=address)
        except NasError as error:
            raise RunError(f"baseline {address}: {error}") from None
        shapes = network.graph.facts[0].shape, network.graph.output_shape
        if shapes != (input_shape, (classes,)):
            raise RunError(
                f"baseline {address} takes {shapes[0]} and gives {shapes[1]}, expected {input_shape} and one logit for each of "
                f"{classes} classes"
            )
        found.append(network)
    return found
