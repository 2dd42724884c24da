"""What networks cost and what they are worth: the figures of Canziani, Paszke and Culurciello 2016, for any networks and runs.

    python scripts/complexity.py runs/first                                       # the networks of a search
    python scripts/complexity.py vgg-d resnet-50 googlenet --accuracy published.csv
    python scripts/complexity.py lenet-5 my_net.py:net runs/first --data fashion-mnist-12k --epochs 3

After "An Analysis of Deep Neural Network Models for Practical Applications" (arXiv 1605.07678): accuracy against operations with a
disc per network whose area is its parameters (figure 2 there), accuracy per parameter (10), inference time and memory against batch
size (3 and 5), time against operations (7). Time and memory are measured on this machine; accuracies come

  * from a run, which knows the validation accuracy of each of its networks;
  * from a CSV of yours with the columns network,accuracy and, if you like, source;
  * with --data and --epochs, for all other networks, from brief training under the default recipe, here and now.

A network without an accuracy is left out of the first two figures only. Each figure is written as SVG and PDF, all of them with
their numbers as index.html, the numbers as networks.csv and measurements.csv. Needs:
pip install "paretonas[paper]", in a checkout pip install -c constraints.txt ".[paper]"
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas

import nas
from nas.addresses import find_network
from nas.cli.options import input_shape
from nas.costs import Cost, cost_of
from nas.data import Dataset, load_data
from nas.evaluators.base import Request
from nas.evaluators.training import TrainingEvaluator
from nas.export import is_own_text
from nas.found import Found
from nas.graph import Graph
from nas.intervals import wilson
from nas.outline import short_count
from nas.report.figures import MARKERS, Saved, Style, explain, new_figure, paper_look, save_figure, style, write_page
from nas.report.labels import Label, disc_legend, label_ends, place_labels, plain_number, readable
from nas.source import write_source
from nas.stopwatch import Stopwatch

# How networks without an accuracy are trained with --data: as baselines are. Any field may be changed.
RECIPE = nas.Recipe()
TRAINED = "trained here"
UNNAMED = Style("#9a9a9a", "o")


@dataclass
class Entry:
    """A network and what is known of it."""

    name: str
    graph: Graph
    named: bool = True  # False: a network of a run off its front; a grey disc, and nothing is measured
    accuracy: float | None = None  # a share
    images: int = 0  # that it was measured on; 0: not known
    origin: str = ""  # of the accuracy
    style: Style = UNNAMED

    @cached_property
    def cost(self) -> Cost:
        return cost_of(self.graph)

    @property
    def percent(self) -> float:
        return 100 * (self.accuracy or 0.0)

    @property
    def density(self) -> float:
        """Accuracy in per cent for each million parameters."""
        return self.percent / (self.cost.params / 1e6)

    @property
    def label(self) -> str:
        """The name without folders: vgg-d, net of my_net.py:net, 4e150b3 of runs/first@4e150b3."""
        return Path(self.name.rpartition("@")[2].rpartition(":")[2]).name


# ---- 1. The networks and their accuracies


def gather(addresses: Sequence[str], shape: tuple[int, int, int] | None, classes: int | None, most: int) -> list[Entry]:
    """Returns the networks at the addresses; the folder of a run stands for all its networks."""
    entries: list[Entry] = []
    for address in dict.fromkeys(addresses):
        if (Path(address) / "run.db").is_file():
            entries += of_run(nas.open_run(address), most)
        elif "@" in address:
            folder, _, which = address.rpartition("@")
            entries.append(of_found(nas.open_run(folder).network(which), named=True))
        else:
            entries.append(Entry(address, find_network(address, input_shape=shape, classes=classes).graph))
    once: dict[str, Entry] = {}
    for entry in entries:
        if entry.named or entry.name not in once:  # RUN@ID may stand beside RUN, which does not name all its networks
            once[entry.name] = entry
    for i, entry in enumerate(entry for entry in once.values() if entry.named):
        entry.style = style(i)
    return list(once.values())


def of_run(run: nas.Run, most: int) -> list[Entry]:
    """Returns all networks of a run that have an accuracy; at most `most` of its front, evenly thinned, are named and measured."""
    table, front = run.trials(), list(run.front()["fingerprint"])
    if "val_accuracy" not in table:
        raise nas.NasError(f"{run.folder} knows no val_accuracy; expected a run that trained its networks on images")
    named = {front[round(i)] for i in np.linspace(0, len(front) - 1, min(most, len(front)))}
    found = run.networks(table.loc[table["val_accuracy"].notna(), "fingerprint"])
    return [of_found(one, named=one.fingerprint in named) for one in found]


def of_found(found: Found, named: bool) -> Entry:
    """Returns a network of a run with its validation accuracy, where it has one."""
    run = found.run
    data = (run.settings.get("data") or {}).get("name", "its data")
    origin = f"run {run.folder.resolve().name}, validation images of {data}, {run.settings['epochs']} epochs"
    name, accuracy = f"{run.folder}@{found.id}", found.values.get("val_accuracy")
    return Entry(name, found.graph, named, accuracy, run.validation_images, origin if accuracy is not None else "")


def read_accuracies(path: Path, entries: Sequence[Entry]) -> None:
    """Gives the networks named in a CSV the accuracies that stand there: shares, or per cent where one is above 1."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = {
                row["network"].strip(): (float(row["accuracy"]), row.get("source") or path.name) for row in csv.DictReader(file)
            }
    except OSError as error:
        raise nas.NasError(f"{path}: {error.strerror or error}") from None
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise nas.NasError(f"{path}: {error!r}; expected the columns network,accuracy and a number in each row") from None
    whole = 100.0 if any(value > 1 for value, _ in rows.values()) else 1.0
    if wrong := [f"{value:g} of {name}" for name, (value, _) in rows.items() if not 0 <= value <= whole]:
        raise nas.NasError(f"{path}: accuracy {wrong[0]}, expected shares from 0 to 1 or per cent from 0 to 100")
    for entry in entries:
        if entry.name in rows:
            entry.accuracy, entry.origin, entry.images = rows[entry.name][0] / whole, rows[entry.name][1], 0
    if unused := rows.keys() - {entry.name for entry in entries}:
        print(f"{path}: these are not drawn: {', '.join(sorted(unused))}")


def train_briefly(entries: Sequence[Entry], dataset: Dataset, epochs: int, seed: int) -> None:
    """Trains networks under one recipe, each in a worker process of one thread, and sets their accuracies."""
    with TrainingEvaluator(dataset) as evaluator:
        for i, entry in enumerate(entries):
            evaluator.submit(i, Request(entry.name, None, partial(write_source, entry.graph), RECIPE, seed, epochs))
        left = len(entries)
        while left:
            for i, measured in evaluator.collect(None):
                left -= 1
                entry, accuracy = entries[i], measured.metrics.get("val_accuracy")
                if accuracy is not None:
                    entry.accuracy, entry.images = accuracy, dataset.size("val")
                    entry.origin = f"{TRAINED}, validation images of {dataset.name}, {epochs} epochs"
                said = f"{measured.outcome}: {measured.error}" if accuracy is None else f"val_accuracy {accuracy:.4f}"
                print(f"{entry.name}: {said}, {measured.seconds:.0f} s", flush=True)


def networks_table(entries: Sequence[Entry]) -> pandas.DataFrame:
    """Returns networks.csv."""
    rows = []
    for entry in entries:
        bounds = wilson(entry.accuracy, entry.images) if entry.accuracy is not None and entry.images else (None, None)
        rows.append(
            {
                "network": entry.name,
                "accuracy": entry.accuracy,
                "accuracy_low": bounds[0],  # 95 % interval for the number of images
                "accuracy_high": bounds[1],
                "accuracy_from": entry.origin,
                "params": entry.cost.params,
                "macs": entry.cost.macs,
                "flops": entry.cost.flops,
                "percent_per_million_params": entry.density if entry.accuracy is not None else None,
                "weight_bytes": entry.cost.weight_bytes,
                "activation_bytes_per_image": entry.cost.activation_memory,
                "input": "x".join(map(str, entry.graph.input_shape)),
            }
        )
    return pandas.DataFrame(rows)


# ---- 2. Time and memory, measured


def measure(entries: Sequence[Entry], stopwatch: Stopwatch, batches: Sequence[int], repeats: int, out: Path) -> pandas.DataFrame:
    """Measures each network at each batch size; prints as it goes, and keeps in measurements.csv what there is."""
    rows: list[dict[str, Any]] = []
    for entry in entries:
        for batch in batches:
            timing = stopwatch.measure(write_source(entry.graph), entry.graph.input_shape, batch, repeats=repeats)
            seconds = timing.seconds if timing.calls else float("nan")
            rows.append(
                {
                    "network": entry.name,
                    "batch": batch,
                    "seconds": seconds,  # of one call on a batch: the median, the quickest and the slowest
                    "seconds_min": min(timing.calls, default=None),
                    "seconds_max": max(timing.calls, default=None),
                    "calls": len(timing.calls),
                    "seconds_per_image": seconds / batch,
                    "processor": timing.processor,  # share of the time that the process had it: below 1, other work disturbed
                    "measured_bytes": timing.peak_bytes,
                    "computed_bytes": entry.cost.weight_bytes + batch * entry.cost.activation_memory,
                    "machine": stopwatch.machine,
                    "error": timing.error,
                }
            )
            pandas.DataFrame(rows).to_csv(out / "measurements.csv", index=False)
            words = timing.error or f"{1e3 * seconds / batch:.3g} ms an image, median of {len(timing.calls)} calls"
            print(f"{entry.name}, batch {batch}: {words}", flush=True)
    table = pandas.DataFrame(rows)
    return table.astype({"measured_bytes": float})


# ---- 3. The figures


@dataclass
class Study:
    """What is drawn, and where to."""

    entries: Sequence[Entry]
    measured: pandas.DataFrame
    operations: str  # "macs" or "flops"
    machine: str
    out: Path

    @property
    def unit(self) -> str:
        return {"macs": "MACs", "flops": "FLOPs"}[self.operations]

    @property
    def axis(self) -> str:
        """Title of the axis of operations."""
        return {"macs": "Operations for one image (MACs)", "flops": "Operations for one image (FLOPs = 2 x MACs)"}[self.operations]

    def count(self, entry: Entry) -> int:
        """Returns the operations of a network for one image."""
        return int(getattr(entry.cost, self.operations))

    def lines(self, column: str) -> list[tuple[Entry, pandas.DataFrame]]:
        """Returns the measurements of each network in which a column is known."""
        found = [(e, self.measured[(self.measured["network"] == e.name) & self.measured[column].notna()]) for e in self.entries]
        return [(entry, rows) for entry, rows in found if len(rows)]


LARGEST_DISC = 24.0  # radius in points of the network with the most parameters


def draw_accuracy(study: Study) -> Saved:
    """Accuracy against operations; the area of a disc is the network's parameters."""
    figure, (axes,) = new_figure(7.2, 4.4)
    known = sorted((e for e in study.entries if e.accuracy is not None), key=lambda e: (e.named, -e.cost.params))
    most = max(entry.cost.params for entry in known)
    origins = list(dict.fromkeys(e.origin for e in study.entries if e.accuracy is not None))
    labels = []
    for entry in known:
        x, y, radius = study.count(entry), entry.percent, LARGEST_DISC * (entry.cost.params / most) ** 0.5
        disc = axes.scatter(x, y, s=(2 * radius) ** 2, color=entry.style.colour, alpha=0.42 if entry.named else 0.2, linewidths=0)
        words = f"{y:.2f} %, {short_count(entry.cost.params)} parameters, {short_count(x)} {study.unit}"
        explain(disc, f"{entry.name}: {words}")
        if entry.named and entry.images:
            axes.plot([x, x], [100 * bound for bound in wilson(y / 100, entry.images)], color=entry.style.colour, linewidth=0.8)
        mark = MARKERS[origins.index(entry.origin) % len(MARKERS)] if len(origins) > 1 else entry.style.marker
        axes.plot(x, y, mark, color=entry.style.colour, markersize=3, zorder=4)
        labels.append(Label(entry.label if entry.named else "", x, y, radius, entry.style.colour))
    readable(axes.xaxis, [study.count(entry) for entry in known])
    axes.margins(0.1)
    axes.set_xlabel(study.axis)
    axes.set_ylabel("Validation accuracy (%)" if all(entry.images for entry in known) else "Accuracy (%)")
    disc_legend(axes, "Parameters", most, LARGEST_DISC)
    if len(origins) > 1:
        dots = [axes.plot([], [], MARKERS[i % len(MARKERS)], color="#444444")[0] for i in range(len(origins))]
        figure.legend(dots, origins, loc="outside lower left", title="Accuracy from", alignment="left")
    place_labels(axes, labels)
    caption = f"Accuracy against operations ({study.unit}); the area of a disc is the number of parameters."
    if any(entry.images and entry.named for entry in known):
        caption += " Bars: 95 % intervals for the number of validation images."
    if not all(entry.named for entry in known):
        caption += " Grey: the other networks of the run."
    if len(origins) > 1:
        caption += " Accuracies from different places do not compare."
    return save_figure(figure, study.out, "accuracy-operations", caption)


def draw_density(study: Study) -> Saved:
    """Accuracy per parameter, the densest network on top."""
    ranked = sorted((e for e in study.entries if e.named and e.accuracy is not None), key=lambda e: e.density)
    figure, (axes,) = new_figure(6.4, 0.9 + 0.24 * len(ranked))
    for y, entry in enumerate(ranked):
        (dot,) = axes.plot(entry.density, y, entry.style.marker, color=entry.style.colour, markersize=6)
        explain(dot, f"{entry.name}: {entry.percent:.2f} % with {entry.cost.params:,} parameters")
        axes.text(entry.density, y, f"    {plain_number(entry.density)}", va="center", fontsize=7, color="#444444")
    axes.set_yticks(range(len(ranked)), [entry.label for entry in ranked])
    axes.set_ylim(-0.7, len(ranked) - 0.3)
    readable(axes.xaxis, [entry.density for entry in ranked], unit=None)
    axes.margins(x=0.12)
    axes.set_xlabel("Accuracy per million parameters (% / M)")
    return save_figure(figure, study.out, "density", "Information density: accuracy divided by the number of parameters.")


def draw_time_by_batch(study: Study) -> Saved:
    """Inference time per image against batch size."""
    figure, (axes,) = new_figure(7.2, 4.2)
    lines = study.lines("seconds_per_image")
    ends = []
    for entry, rows in lines:
        (line,) = axes.plot(rows["batch"], rows["seconds_per_image"], marker=entry.style.marker, color=entry.style.colour)
        explain(line, f"{entry.name}: " + said(rows, 1e3 * rows["seconds_per_image"], "ms"))
        ends.append(Label(entry.label, rows["batch"].iloc[-1], rows["seconds_per_image"].iloc[-1], colour=entry.style.colour))
    batch_axis(axes, study.measured["batch"])
    readable(axes.yaxis, pandas.concat([rows["seconds_per_image"] for _, rows in lines]), "s")
    axes.set_ylabel("Inference time per image")
    label_ends(axes, ends)
    few, many = study.measured["calls"].min(), study.measured["calls"].max()
    calls = f"median of {few} calls" if few == many else f"median of {few} to {many} calls"
    return save_figure(figure, study.out, "time-batch", f"Inference time per image against batch size, {calls}. {study.machine}.")


def draw_memory_by_batch(study: Study) -> Saved:
    """Measured and computed memory of inference against batch size."""
    figure, (axes,) = new_figure(7.2, 4.2)
    measured = dict(draw_column(axes, study, "measured_bytes", linestyle="-"))
    computed = dict(draw_column(axes, study, "computed_bytes", linestyle=":"))
    batch_axis(axes, study.measured["batch"])
    readable(axes.yaxis, pandas.concat([study.measured[f"{kind}_bytes"].dropna() for kind in ("measured", "computed")]), "B")
    axes.set_ylabel("Memory of inference")
    label_ends(axes, list((computed | measured).values()))
    on_cpu = "thread" in study.machine
    what = "growth of the process's resident memory" if on_cpu else "most bytes that PyTorch had allocated"
    kinds = [("-", f"measured: {what}")] if measured else []
    kinds += [(":", "computed: weights + batch x most activations alive")]
    axes.legend([axes.plot([], [], color="#444444", linestyle=dash)[0] for dash, _ in kinds], [text for _, text in kinds])
    caption = "Memory of inference against batch size" + "".join(f"; {text}" for _, text in kinds)
    return save_figure(figure, study.out, "memory-batch", f"{caption}. {study.machine}.")


def draw_column(axes: Any, study: Study, column: str, linestyle: str) -> list[tuple[str, Label]]:
    """Draws one kind of memory and returns the label of each line's end by network."""
    ends = []
    for entry, rows in study.lines(column):
        marker = entry.style.marker if linestyle == "-" else ""
        (line,) = axes.plot(rows["batch"], rows[column], marker=marker, color=entry.style.colour, linestyle=linestyle)
        explain(line, f"{entry.name}, {column.partition('_')[0]}: " + said(rows, rows[column] / 1e6, "MB"))
        ends.append((entry.name, Label(entry.label, rows["batch"].iloc[-1], rows[column].iloc[-1], colour=entry.style.colour)))
    return ends


def said(rows: pandas.DataFrame, values: pandas.Series, unit: str) -> str:
    return ", ".join(f"{value:.3g} {unit} at batch {batch}" for batch, value in zip(rows["batch"], values, strict=True))


def batch_axis(axes: Any, batches: pandas.Series) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(batches.unique(), batches.unique().astype(str))
    axes.minorticks_off()
    axes.set_xlabel("Batch size (images)")


def draw_time_by_operations(study: Study) -> Saved:
    """Time per image against operations at the smallest and the largest batch size, with a line fitted to the logarithms."""
    batches = sorted({study.measured["batch"].min(), study.measured["batch"].max()})
    figure, panels = new_figure(3.7 * len(batches), 3.6, len(batches))
    texts = []
    for axes, batch in zip(panels, batches, strict=True):
        points = [
            (entry, study.count(entry), float(seconds))
            for entry, rows in study.lines("seconds_per_image")
            for seconds in rows.loc[rows["batch"] == batch, "seconds_per_image"]
        ]
        labels = [Label(entry.label, x, y, 3, entry.style.colour) for entry, x, y in points]
        for entry, x, y in points:
            (dot,) = axes.plot(x, y, entry.style.marker, color=entry.style.colour, markersize=5, zorder=3)
            explain(dot, f"{entry.name}: {1e3 * y:.3g} ms, {short_count(x / y)} {study.unit} a second")
        title = f"batch {batch}"
        if len({x for _, x, _ in points}) >= 3:
            slope, height, fit = fitted([x for _, x, _ in points], [y for _, _, y in points])
            xs = np.geomspace(min(x for _, x, _ in points), max(x for _, x, _ in points), 40)
            axes.plot(xs, np.exp(height) * xs**slope, color="#777777", linestyle="--", linewidth=1, zorder=1)
            labels += [Label("", x, np.exp(height) * x**slope, 1) for x in xs]  # texts keep clear of the line
            title += f": time ~ {study.unit}$^{{{slope:.2f}}}$, $R^2$ = {fit:.2f}"
        axes.set_title(title, fontsize=8)
        if points:
            readable(axes.xaxis, [x for _, x, _ in points])
            readable(axes.yaxis, [y for _, _, y in points], "s")
        axes.set_xlabel(study.axis)
        axes.margins(0.14)
        texts.append(labels)
    panels[0].set_ylabel("Inference time per image")
    for axes, labels in zip(panels, texts, strict=True):
        place_labels(axes, labels, size=6.5)
    caption = "Inference time per image against operations; dashed: least squares of the logarithms."
    return save_figure(figure, study.out, "time-operations", f"{caption} {study.machine}.")


def fitted(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Returns slope, intercept and coefficient of determination of log y over log x."""
    log_x, log_y = np.log(x), np.log(y)
    slope, height = np.polyfit(log_x, log_y, 1)
    rest, total = ((log_y - slope * log_x - height) ** 2).sum(), ((log_y - log_y.mean()) ** 2).sum()
    return float(slope), float(height), float(1 - rest / total) if total else 1.0


# ---- 4. All of it


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the text above as it stands, and defaults where there are some."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line; bad input ends with one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    option = parser.add_argument
    option("networks", nargs="+", help="a name, RUN@ID, FILE.py:NAME, FILE.json, or the folder of a run for all its networks")
    option("--accuracy", type=Path, help="CSV with columns network,accuracy[,source]; networks as they stand on this command line")
    option("--data", help="images to train networks on that have no accuracy; all networks take their shape and classes")
    option("--epochs", type=int, default=3, help="of these trainings")
    option("--seed", type=int, default=0, help="of these trainings")
    option("--input", help="re-target networks to images of this shape, such as 3x32x32")
    option("--classes", type=int, help="re-target networks to so many classes")
    option("--operations", choices=("macs", "flops"), default="macs", help="FLOPs are 2 x MACs")
    option("--batches", default="1,2,4,8,16,32,64", help="batch sizes to measure")
    option(
        "--repeats",
        type=int,
        default=10,
        help="timed calls after two untimed ones; fewer, yet 3 if asked for as many, where they take over 3 s",
    )
    option("--device", choices=("cpu", "cuda"), default="cpu", help="to measure on")
    option("--threads", type=int, default=1, help="of the processor while measuring")
    option("--most", type=int, default=8, help="how many networks of each run's front to name and measure")
    option("--trust-code", action="store_true", help="execute operations of somebody's own that a run or JSON file brings along")
    option("--out", type=Path, default=Path("runs/complexity"), help="folder for figures, page and tables")
    args = parser.parse_args(arguments)
    try:
        with paper_look():
            analyse(args)
    except (nas.NasError, OSError) as error:
        parser.exit(2, f"error: {error}\n")


def analyse(args: argparse.Namespace) -> None:
    """Gathers, trains, measures, draws and writes."""
    for name in ("epochs", "repeats", "most"):
        if getattr(args, name) < 1:
            raise nas.NasError(f"--{name} is {getattr(args, name)}, expected at least 1")
    dataset = load_data(args.data) if args.data else None
    shape, classes = (dataset.input_shape, len(dataset.class_names)) if dataset else (input_shape(args.input), args.classes)
    entries = gather(args.networks, shape, classes, args.most)
    named = [entry for entry in entries if entry.named]
    for entry in named:
        if not args.trust_code and not is_own_text(entry.graph, write_source(entry.graph)):
            raise nas.NasError(f"{entry.name} holds an operation of somebody's own; say --trust-code where you trust it")
    args.out.mkdir(parents=True, exist_ok=True)
    with Stopwatch(args.device, args.threads) as stopwatch:  # first: a device that is missing is told before anything is trained
        if args.accuracy:
            read_accuracies(args.accuracy, entries)
        if dataset and (left := [entry for entry in entries if entry.accuracy is None]):
            train_briefly(left, dataset, args.epochs, args.seed)
        networks = networks_table(entries)
        networks.to_csv(args.out / "networks.csv", index=False)
        measured = measure(named, stopwatch, batch_sizes(args.batches), args.repeats, args.out)
        study = Study(entries, measured, args.operations, stopwatch.machine, args.out)
    figures = [draw_accuracy(study), draw_density(study)] if any(entry.accuracy is not None for entry in named) else []
    if measured["seconds"].notna().any():
        figures += [draw_time_by_batch(study), draw_memory_by_batch(study), draw_time_by_operations(study)]
    origins = dict.fromkeys(f"Accuracy: {entry.origin}." for entry in entries if entry.accuracy is not None)
    words = [f"Time and memory: {study.machine}, random weights and images.", *disturbed(measured, args.threads), *origins]
    if any(entry.origin.startswith(TRAINED) for entry in entries):
        words.append(f"Recipe of what was trained here: {', '.join(f'{name} {value}' for name, value in asdict(RECIPE).items())}.")
    if without := [entry.name for entry in entries if entry.accuracy is None]:
        words.append(f"Without an accuracy: {', '.join(without)}.")
    tables = [("Networks", networks), ("Measurements", measured.drop(columns="machine"))]
    write_page(args.out / "index.html", "What networks cost and what they are worth", words, figures, tables)
    print(f"wrote {args.out / 'index.html'}, networks.csv, measurements.csv and {len(figures)} figures as SVG and PDF")


def disturbed(measured: pandas.DataFrame, threads: int) -> list[str]:
    """Returns a warning where other work held the processor; of several threads some wait for others anyway."""
    share = pandas.to_numeric(measured["processor"]).median()
    if threads > 1 or not share < 0.9:
        return []
    said = f"Other work held the processor: the networks had it {share:.0%} of the time, so these times are too long."
    print(said)
    return [said]


def batch_sizes(text: str) -> list[int]:
    """Reads "1,2,4"."""
    if not all(part.strip().isdecimal() and int(part) for part in text.split(",")):
        raise nas.NasError(f"--batches {text!r} cannot be read; expected whole numbers of at least 1, such as 1,2,4")
    return sorted({int(part) for part in text.split(",")})


if __name__ == "__main__":
    main()
