"""What came out of a final training: as values, as a table for people, as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from nas.costs import cost_of
from nas.final.folder import CURVE, SOURCE, WEIGHTS
from nas.final.state import Training
from nas.intervals import indistinguishable, wilson
from nas.lines import Cell, aligned, counted, spell_seconds
from nas.noise import Noise, measured_noise

if TYPE_CHECKING:
    import pandas

    from nas.final.picks import Pick


@dataclass(frozen=True)
class TrainedSeed:
    """One training of a network.

    Attributes:
        seed: Of weights, order, augmentation and dropout.
        outcome: `complete`, or how it failed.
        error: What went wrong; empty where nothing did.
        epochs: Trained.
        seconds: They took.
        metrics: `train_accuracy`, `train_loss`; `val_accuracy`, `val_loss`, ... where validation images were held out;
            `test_accuracy` with its 95 % interval `test_accuracy_low` and `test_accuracy_high`, `test_loss`, ... where the
            test images were measured.
        source: The exported network; None where its training failed.
        weights: Beside it.
        curve: One row an epoch.
    """

    seed: int
    outcome: str
    error: str
    epochs: int
    seconds: float
    metrics: Mapping[str, float]
    source: Path | None
    weights: Path | None
    curve: Path | None


@dataclass(frozen=True)
class TrainedNetwork:
    """One network, trained with one or several seeds.

    Attributes:
        name: `RUN@ID`, or the name it was asked for by.
        fingerprint: Its identity.
        params: Trainable values.
        macs: Multiply-adds of one image.
        search: What the search measured, see `nas.final.picks.Pick`; empty where none did.
        seeds: One entry a seed.
        test_images: How many; 0 where they were not measured.
        noise: How far test accuracies lie apart between seeds, over all networks of the training; None where there is one seed.
    """

    name: str
    fingerprint: str
    params: int
    macs: int
    search: Mapping[str, float]
    seeds: tuple[TrainedSeed, ...]
    test_images: int = 0
    noise: Noise | None = field(default=None, repr=False)

    def mean(self, metric: str) -> float | None:
        """Returns the mean of a metric over the seeds that have it; None where none has."""
        values = self._values(metric)
        return fmean(values) if values else None

    def sd(self, metric: str) -> float | None:
        """Returns the standard deviation of a metric over the seeds (of the sample, n - 1); None below two."""
        values = self._values(metric)
        return stdev(values) if len(values) > 1 else None

    @property
    def test_accuracy(self) -> float | None:
        """Mean over the seeds."""
        return self.mean("test_accuracy")

    @property
    def test_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean: of the test images (Wilson 1927), and of the spread between seeds (`nas.noise`)."""
        mean = self.test_accuracy
        if mean is None:
            return None
        noise = self._noise_of(len(self._values("test_accuracy")))
        return noise.interval(mean) if noise else wilson(mean, self.test_images)

    def _noise_of(self, seeds: int) -> Noise | None:
        """Returns the noise of means over so many seeds."""
        return replace(self.noise, trainings=seeds) if self.noise and seeds else None

    def same_as(self, other: TrainedNetwork) -> bool:
        """Returns whether two test accuracies are no further apart than 95 % of equals would be; False where one is missing.

        Where one has fewer seeds than the other, both are taken to have so few.
        """
        one, two = self.test_accuracy, other.test_accuracy
        if one is None or two is None:
            return False
        noise = self._noise_of(min(len(network._values("test_accuracy")) for network in (self, other)))
        return noise.indistinguishable(one, two) if noise else indistinguishable(one, two, self.test_images)

    @property
    def seconds(self) -> float:
        """Of all seeds together, on one slot."""
        return sum(seed.seconds for seed in self.seeds)

    def _values(self, metric: str) -> list[float]:
        return [seed.metrics[metric] for seed in self.seeds if metric in seed.metrics]


@dataclass(frozen=True)
class FinalTraining:
    """All that came out.

    Attributes:
        folder: Where it lies: `final.json`, `final.csv`, and a folder for each network and seed.
        epochs: Of each training.
        networks: In the order in which they were chosen.
    """

    folder: Path
    epochs: int
    networks: tuple[TrainedNetwork, ...] = field(repr=False)

    def table(self) -> pandas.DataFrame:
        """Returns one row a network and seed, as in `final.csv`."""
        import pandas

        return pandas.DataFrame(rows(self.networks))


def with_noise(networks: Sequence[TrainedNetwork]) -> tuple[TrainedNetwork, ...]:
    """Returns networks that know how far their test accuracies lie apart between seeds, pooled over all of them."""
    measured = [[seed.metrics["test_accuracy"] for seed in one.seeds if "test_accuracy" in seed.metrics] for one in networks]
    noise = measured_noise(measured, max((one.test_images for one in networks), default=0))
    return tuple([replace(one, noise=noise) for one in networks])


def network_results(pick: Pick, trainings: Sequence[Training], folder: Path, test_images: int) -> TrainedNetwork:
    """Returns what came out of one network.

    Args:
        pick: The network.
        trainings: Of its seeds.
        folder: Final folder.
        test_images: How many there are.
    """
    cost = cost_of(pick.graph)
    seeds = tuple(_seed(training, folder / training.network / f"seed-{training.seed}") for training in trainings)
    measured = test_images if any(training.test for training in trainings) else 0
    return TrainedNetwork(pick.name, pick.fingerprint, cost.params, cost.macs, pick.search, seeds, measured)


def _seed(training: Training, place: Path) -> TrainedSeed:
    files = [place / name if training.exported else None for name in (SOURCE, WEIGHTS, CURVE)]
    metrics = {name: value for name, value in training.metrics.items() if name != "seconds"} | training.test
    if "test_images" in metrics:
        metrics["test_images"] = int(metrics["test_images"])
    outcome = training.outcome or "not finished"
    return TrainedSeed(training.seed, outcome, training.error, training.epochs, training.seconds, metrics, *files)


def rows(networks: Iterable[TrainedNetwork]) -> list[dict[str, Any]]:
    """Returns one row a network and seed: names, exact costs, what the search measured, and what came out."""
    found = []
    for network in networks:
        search = {f"search_{name}": value for name, value in network.search.items()}
        known = {
            "network": network.name,
            "fingerprint": network.fingerprint,
            "params": network.params,
            "macs": network.macs,
            **search,
        }
        for seed in network.seeds:
            ended = {"seed": seed.seed, "outcome": seed.outcome, "epochs": seed.epochs, "seconds": round(seed.seconds, 1)}
            found.append(known | ended | dict(seed.metrics) | {"error": seed.error})
    return found


def csv_text(networks: Iterable[TrainedNetwork]) -> str:
    """Returns these rows as CSV; a column that a row lacks is blank there."""
    table = rows(networks)
    names = list(dict.fromkeys(name for row in table for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def plain(network: TrainedNetwork) -> dict[str, Any]:
    """Returns a network as plain JSON, means and standard deviations over its seeds included."""
    means = list(dict.fromkeys(name for seed in network.seeds for name in seed.metrics if _is_mean(name)))
    summary: dict[str, Any] = {name: network.mean(name) for name in means}
    summary |= {f"{name}_sd": network.sd(name) for name in means if network.sd(name) is not None}
    if network.test_interval is not None:
        summary["test_accuracy_low"], summary["test_accuracy_high"] = network.test_interval
        summary["test_images"] = network.test_images
    return {
        "network": network.name,
        "fingerprint": network.fingerprint,
        "params": network.params,
        "macs": network.macs,
        "search": dict(network.search),
        **summary,
        "seconds": network.seconds,
        "seeds": [_plain_seed(seed) for seed in network.seeds],
    }


def _is_mean(name: str) -> bool:
    return name not in ("test_images", "test_accuracy_low", "test_accuracy_high", "images_per_second")


def _plain_seed(seed: TrainedSeed) -> dict[str, Any]:
    files = {name: str(path) for name, path in (("source", seed.source), ("weights", seed.weights), ("curve", seed.curve)) if path}
    ended = {"seed": seed.seed, "outcome": seed.outcome, "epochs": seed.epochs, "seconds": seed.seconds}
    return ended | dict(seed.metrics) | files | ({"error": seed.error} if seed.error else {})


def results_text(training: FinalTraining) -> str:
    """Returns the table for people: a line a network, then what failed."""
    networks = training.networks
    shown: dict[str, list[Cell]] = {
        "network": [network.name for network in networks],
        "params": [network.params for network in networks],
        "MACs": [network.macs for network in networks],
        "val_accuracy of the search": [_share(network.search.get("val_accuracy")) for network in networks],
        "val_accuracy": [_mean_and_sd(network, "val_accuracy") for network in networks],
        "test_accuracy": [_mean_and_sd(network, "test_accuracy") for network in networks],
        "95 % interval": [_interval(network) for network in networks],
        "time": [spell_seconds(network.seconds) for network in networks],
    }
    columns = [[name, *cells] for name, cells in shown.items() if any(cells)]
    table = aligned(list(zip(*columns, strict=True))).splitlines()
    marked = [table[0], *(line + _mark(networks, i) for i, line in enumerate(table[1:]))]
    return "\n".join([*marked, *_footnotes(networks)])


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _mean_and_sd(network: TrainedNetwork, metric: str) -> str:
    sd = network.sd(metric)
    return _share(network.mean(metric)) + ("" if sd is None else f" +- {sd:.4f}")


def _interval(network: TrainedNetwork) -> str:
    return "{:.4f} to {:.4f}".format(*network.test_interval) if network.test_interval else ""


def _mark(networks: Sequence[TrainedNetwork], i: int) -> str:
    return "  (not told apart from the one above)" if i and networks[i].same_as(networks[i - 1]) else ""


def _footnotes(networks: Sequence[TrainedNetwork]) -> list[str]:
    lines = []
    if any(network.sd("test_accuracy") is not None for network in networks):
        seeds = counted(max(len(network.seeds) for network in networks), "seed")
        images = counted(max(network.test_images for network in networks), "image")
        lines.append(f"test_accuracy is the mean +- standard deviation over {seeds}; the interval is of both, {images} and seeds")
    elif any(network.test_accuracy is not None for network in networks):
        lines.append("one seed: --train-seeds 2 or more shows how much it matters")
    for network in networks:
        for seed in network.seeds:
            if seed.outcome != "complete":
                lines.append(f"{network.name} seed {seed.seed}: {seed.outcome}: {seed.error}")
            elif seed.error:
                lines.append(f"{network.name} seed {seed.seed}: not measured on the test images: {seed.error}")
    return ["", *lines] if lines else []
