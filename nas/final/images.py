"""Which images a final training takes, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.addresses import Network
from nas.data import Dataset, load_data
from nas.errors import EvaluationError
from nas.found import Found
from nas.hints import data_flags
from nas.lines import counted
from nas.looks import look_words, read_looks
from nas.outline import shape_words


def _arguments(found: Found | None) -> Mapping[str, Any]:
    """Returns what the search was called with that found a network, as far as it is recorded."""
    starts = found.run.starts() if found else []
    return (starts[-1]["options"].get("arguments") or {}) if starts else {}


def load_images(data: Any, options: Mapping[str, Any], found: Found | None) -> Dataset:
    """Returns the images: those that are named, else those of a run.

    Args:
        data: What `load_data` takes; None: what the run of `found` was searched with.
        options: Passed on to it; none: for the data of that run, those of the run.
        found: The first network of a run.

    Raises:
        NasError: When there are none, or they cannot be read.
    """
    arguments = _arguments(found)
    searched = arguments.get("data")
    if data is None and not isinstance(searched, str):
        why = "its run does not say where its images lie" if found else "only networks of a run know theirs"
        raise EvaluationError(f"no data given, and {why}; expected the name of a data set, a folder of images or arrays")
    same = data is None or _same_place(data, searched)
    recorded = arguments.get("data_options") or {}
    return load_data(searched if data is None else data, **(options or (recorded if same else {})))


def _same_place(data: Any, searched: Any) -> bool:
    if not isinstance(data, str | Path) or not isinstance(searched, str):
        return False
    return str(data) == searched or Path(data).resolve() == Path(searched).resolve()


def check_fits(network: Network, dataset: Dataset) -> None:
    """Raises EvaluationError when a network is for other images, or for another number of classes."""
    wanted = (network.graph.input_shape, network.graph.output_shape)
    given = (dataset.input_shape, (len(dataset.class_names),))
    if wanted != given:
        arguments = _arguments(network.found)
        flags = " ".join(data_flags(arguments.get("data_options") or {}))
        read = f"; its run read {arguments.get('data', 'its images')} with {flags}" if flags else ""
        raise EvaluationError(
            f"{network.name} takes images of {shape_words(wanted[0])} and gives {shape_words(wanted[1])} values, but "
            f"{dataset.name} has images of {shape_words(given[0])} in {counted(given[1][0], 'class', 'classes')}{read}"
        )


def image_notes(networks: Sequence[Network], dataset: Dataset) -> list[str]:
    """Returns what is to be said of the test images: where they come from, and whether a search may have seen some of them."""
    notes = [note for note in dataset.notes if note.startswith("test") or "test image" in note]
    others = {
        str(network.found.run.folder)
        for network in networks
        if network.found and (network.found.run.settings.get("data") or {}).get("digest") not in (None, dataset.digest)
    }
    return notes + [
        f"{folder} was searched with other images or another split: what its search trained on may be among these test images"
        for folder in sorted(others)
    ]


def earlier_looks(runs: Sequence[Path], folder: Path) -> list[str]:
    """Returns a line for each run whose networks were measured on the test images before, by another final training.

    Args:
        runs: Folders of the runs.
        folder: Of this final training.
    """
    lines = []
    for run in runs:
        looks = [look for look in read_looks(run) if look["folder"] != str(folder.resolve())]
        if looks:
            lines.append(f"test images of {run}: {look_words(looks)}; whoever chooses by those figures chooses on the test")
    return lines


def image_words(dataset: Dataset, hold_out: bool, test: bool) -> str:
    """Returns in words which images are trained on, and which are measured."""
    train, val, unseen = (counted(dataset.size(split), f"{word} image") for split, word in zip(_SPLITS, _WORDS, strict=True))
    trained = f"trained on {train}; {val} held out, measured after each epoch" if hold_out else f"trained on {train} and {val}"
    if not dataset.size("test"):
        return f"{dataset.name}: {trained}; there are no test images, so none are measured"
    if not test:
        return f"{dataset.name}: {trained}; the {unseen} are left alone"
    return f"{dataset.name}: {trained}; {unseen} measured once, when all is trained"


_SPLITS, _WORDS = ("train", "val", "test"), ("training", "validation", "test")
