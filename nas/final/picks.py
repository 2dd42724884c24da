"""Which networks are trained at length, on which images, by which recipe, and what the search knew of them. Trains nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.addresses import Network, find_network
from nas.arguments import changed_recipe
from nas.costs import cost_of
from nas.data import Dataset
from nas.database import DATABASE
from nas.errors import EvaluationError, RecipeError
from nas.export import is_own_text
from nas.final.folder import IMAGES, PROBE
from nas.final.images import check_fits, image_notes, load_images
from nas.found import Found
from nas.graph import Graph
from nas.intervals import wilson
from nas.library import load_space
from nas.lines import counted
from nas.recipe import Recipe, strong
from nas.run import Run, open_run
from nas.source import write_source

if TYPE_CHECKING:
    from nas.api import AnyNetwork


@dataclass(frozen=True)
class Pick:
    """A network that is trained at length.

    Attributes:
        name: For people: `RUN@ID`, or the name it was asked for by.
        key: Its id in its run, or its name, as a file may be called; no other pick has it.
        graph: Simplified, in canonical order.
        fingerprint: Its identity.
        recipe: Closed: the user's own, or the one it was found with.
        strengthened: Whether `nas.recipe.strong` makes the recipe fit for long training; a user's own one is left as it is.
        found: Its row, where it comes from a run.
        search: What the search measured: `val_accuracy`, its 95 % interval `val_accuracy_low` and `val_accuracy_high`, `val_images`
            and `epochs`; empty where no search measured it by training on so many images.
    """

    name: str
    key: str
    graph: Graph = field(repr=False)
    fingerprint: str
    recipe: Recipe
    strengthened: bool
    found: Found | None = field(default=None, repr=False)
    search: Mapping[str, float] = field(default_factory=dict)

    def recipe_for(self, epochs: int, images: int) -> Recipe:
        """Returns the recipe of a training of so many epochs on so many images."""
        return strong(self.recipe, epochs, images) if self.strengthened else self.recipe

    @property
    def described(self) -> dict[str, Any]:
        """What the final folder keeps of it, before anything is trained."""
        cost = cost_of(self.graph)
        run = {"run": str(self.found.run.folder.resolve()), "id": self.found.id} if self.found else {}
        known = {"name": self.name, "key": self.key, "fingerprint": self.fingerprint, **run}
        return {**known, "params": cost.params, "macs": cost.macs, "search": dict(self.search)}


@dataclass(frozen=True)
class Picks:
    """All networks of one final training, and their images.

    Attributes:
        picks: The networks, in the order in which they were named; of a front the most accurate first.
        dataset: With all its splits.
        notes: What a user should know of the choice.
    """

    picks: tuple[Pick, ...]
    dataset: Dataset
    notes: tuple[str, ...]


def pick_networks(
    networks: Sequence[AnyNetwork | Found | Network | Run],
    data: Any,
    data_options: Mapping[str, Any],
    *,
    front: bool,
    sample: int | None,
    recipe: Recipe | None,
    recipe_options: Mapping[str, Any],
    trust_code: bool,
) -> Picks:
    """Finds networks and the images they are trained on.

    Args:
        networks: What `nas.find_network` takes or returns; a run, or its folder, stands for its best network.
        data: What `load_data` takes; None: what the first network's run was searched with.
        data_options: Passed on to `load_data`; none: for networks of a run and the data it was searched with, those of the run.
        front: Whether a run stands for all networks of its front.
        sample: Seed of the genotype drawn from an open space.
        recipe: For all networks; None: for each the one it was found with (`Recipe()` for any other network), strengthened.
        recipe_options: Fields of the recipe to change.
        trust_code: Whether code that a run or a JSON file brings along may be executed.

    Raises:
        NasError: When one of them is not there, is for other images or another number of classes, or needs code without trust.
    """
    if not networks:
        raise EvaluationError("no network given; expected a run, RUN@best, RUN@ID, the name of a classic network or a file")
    of_runs = [_of_run(network, front) for network in networks]
    found = next((known[0].found for known in of_runs if known), None)
    if data is None and found is None:
        _check_known(networks)
    dataset = load_images(data, data_options, found)
    shape, classes = dataset.input_shape, len(dataset.class_names)
    all_known: list[Network] = []
    for asked, known in zip(networks, of_runs, strict=True):
        if known is None:
            assert not isinstance(asked, Found | Network | Run)
            known = [find_network(asked, sample=sample, input_shape=shape, classes=classes)]
        all_known += known
    unique, again = _distinct(all_known)
    notes = [*_reasons(networks, of_runs, front), *again, *image_notes(unique, dataset)]
    picks: list[Pick] = []
    for network in unique:
        check_fits(network, dataset)
        _check_trust(network, trust_code)
        key = _free_key(network, {IMAGES, PROBE, *(pick.key for pick in picks)})
        base = changed_recipe(recipe or recipe_of(network.found), recipe_options).closed()
        picks.append(
            Pick(
                name=network.name,
                key=key,
                graph=network.graph,
                fingerprint=network.fingerprint,
                recipe=base,
                strengthened=recipe is None,
                found=network.found,
                search=_searched(network.found),
            )
        )
    return Picks(tuple(picks), dataset, tuple(notes))


def _check_known(networks: Sequence[object]) -> None:
    """Raises what is wrong with an address that leads nowhere: that is to be said before that it has no data."""
    for network in networks:
        if isinstance(network, str | Path) and not str(network).endswith(".json"):
            load_space(network)


def recipe_of(found: Found | None) -> Recipe:
    """Returns the recipe a network of a run was found with; the default for any other network.

    Raises:
        RecipeError: When the run was written by another version, whose recipe had other fields.
    """
    try:
        return Recipe(**found.recipe) if found else Recipe()
    except TypeError as error:
        raise RecipeError(f"the run's recipe is none of this version: {error}; give one") from None


def _of_run(network: AnyNetwork | Found | Network | Run, front: bool) -> list[Network] | None:
    """Returns what was found already and what a run knows, None for any other network."""
    if isinstance(network, str | Path) and (Path(network) / DATABASE).is_file():
        network = open_run(network)
    if isinstance(network, Run):
        table = network.front() if front else None
        if table is not None and table.empty:
            raise EvaluationError(f"the front of {network.folder} is empty: no network was measured")
        rows = [network.best()] if table is None else network.networks(map(str, table["fingerprint"]))
        return [_named(found) for found in rows]
    if isinstance(network, str | Path) and "@" in str(network):
        network = find_network(network)
    if isinstance(network, Found):
        return [_named(network)]
    if isinstance(network, Network):
        return [_named(network.found) if network.found else network]
    return None


def _reasons(asked: Sequence[object], of_runs: Sequence[Sequence[Network] | None], front: bool) -> list[str]:
    """Returns a line for each run, or address in one, that says which networks it stands for and why."""
    lines = []
    for address, known in zip(asked, of_runs, strict=True):
        found = known[0].found if known else None
        if known is None or found is None or isinstance(address, Found | Network):
            continue
        if not isinstance(address, Run) and "@" in str(address):
            lines.append(f"{address} is {known[0].name}")
            continue
        by = ", ".join(objective.name for objective in found.run.objectives)
        total = counted(len(found.run.trials()), "network")
        what = f"its front, {len(known)} of {total}, by {by}" if front else f"{known[0].name}, the best of {total} by {by}"
        lines.append(f"{found.run.folder}: {what}")
    return lines


def _named(found: Found) -> Network:
    # the file that it is written into may travel, the folder's path need not
    return Network(f"{found.run.folder.name}@{found.id}", found.graph, found.fingerprint, found=found)


def _distinct(networks: Sequence[Network]) -> tuple[list[Network], list[str]]:
    """Returns each network once, and a line for each that was named again."""
    kept: dict[str, Network] = {}
    notes = []
    for network in networks:
        first = kept.setdefault(network.fingerprint, network)
        if first is not network:
            same = "was named more than once" if first.name == network.name else f"is the same network as {first.name}"
            notes.append(f"{network.name} {same} and is trained once")
    return list(kept.values()), notes


def _check_trust(network: Network, trust_code: bool) -> None:
    if not trust_code and not is_own_text(network.graph, write_source(network.graph)):
        raise EvaluationError(
            f"{network.name} holds an operation of somebody's own, whose code would be executed; "
            "say --trust-code where you trust it"
        )


def _free_key(network: Network, taken: set[str]) -> str:
    name = network.found.id if network.found else re.sub(r"[^\w.-]+", "-", network.name).strip("-.")[:60]
    name = name or network.fingerprint[:7]
    return name if name not in taken else f"{name}-{network.fingerprint[:7]}"


def _searched(found: Found | None) -> dict[str, float]:
    """Returns what the search measured of a network."""
    measurement = found.measurement if found else None
    if found is None or measurement is None or "val_accuracy" not in measurement.metrics or not found.run.validation_images:
        return {}
    share, images = measurement.metrics["val_accuracy"], found.run.validation_images
    low, high = wilson(share, images)
    return {
        "val_accuracy": share,
        "val_accuracy_low": low,
        "val_accuracy_high": high,
        "val_images": images,
        "epochs": measurement.epochs,
    }
