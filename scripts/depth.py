"""The challenge of depth: plain and residual networks of growing depth on real images, as He et al. 2015 compared them.

    python scripts/depth.py                                        # what is described below, on the embedded images
    python scripts/depth.py --depths 8,14,20 --epochs 3 --width 4 --out runs/depth-quick

After "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), section 4.2 and figure 6: networks of 6n + 2 layers, a 3x3
convolution, then 2n of them with each of the widths w, 2w and 4w on images halved twice, then global pooling and one linear layer.
The residual ones add a shortcut without parameters around every two convolutions (option A), so plain and residual networks of one
depth have the same parameters and multiply-adds. Deeper plain networks are harder to train: their *training* error grows.

With the defaults, one seed, the training error of the plain network rose from 13.0 % with 20 layers to 27.5 % with 56, that of the
residual one fell from 11.7 % to 11.1 %; validation errors 14.4 %, 26.6 %, 14.6 % and 13.5 % (2,000 images). Fewer epochs or depths
that lie close together show nothing but noise: after 3 epochs of width 16 a residual network of 20 layers did worse than the plain.

The space language says it so: a block with the shortcut is Residual(...), the same block without is a Sequential of the same two
Convs. The paper's own setting is 32 x 32 colour images (CIFAR-10, 45,000 to train on), width 16, 64,000 steps of 128 images, shifts
of 4 pixels and mirror images:

    python scripts/depth.py --data cifar10/ --depths 20,32,44,56 --width 16 --epochs 182 --shift 4 --warmup 0

where it divided the rate of 0.1 by ten twice; here it falls linearly. Each network's curve is kept in curves.csv as soon as it
ends; the same command goes on where it was. Figures as SVG and PDF, all with the table as index.html. Needs:
pip install "paretonas[paper]", in a checkout pip install -c constraints.txt ".[paper]"
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas

import nas
from nas import Recipe, Space
from nas.addresses import find_network
from nas.blocks import Block, Classifier, Conv, Residual, Sequential
from nas.costs import cost_of
from nas.data import Dataset, load_data
from nas.evaluators.base import Request
from nas.evaluators.training import TrainingEvaluator
from nas.graph import Graph
from nas.intervals import wilson
from nas.measurement import Measurement
from nas.report.figures import Saved, Style, explain, new_figure, paper_look, save_figure, style, write_page
from nas.report.labels import Label, label_ends
from nas.source import write_source


class Key(NamedTuple):
    """Which network."""

    family: str
    depth: int
    seed: int


# ---- 1. The networks


def block(family: str, channels: int, stride: int) -> Block:
    """Two convolutions; in the residual family the shortcut is added before the last activation."""
    if family == "residual":
        return Residual(channels=channels, stride=stride, shortcut="pad")
    return Sequential(Conv(channels=channels, stride=stride), Conv(channels=channels))


def network(family: str, depth: int, width: int) -> Space:
    """Returns a network of 6n + 2 layers: He et al. 2015, section 4.2."""
    if depth < 8 or depth % 6 != 2:
        raise nas.NasError(f"depth {depth} is none of this family, which has 6n + 2 layers; expected 8, 14, 20, ...")
    blocks = [
        block(family, width * 2**stage, stride=2 if stage and not i else 1) for stage in range(3) for i in range((depth - 2) // 6)
    ]
    return Space(name=f"{family}-{depth}", body=Sequential(Conv(channels=width), *blocks, Classifier()))


# ---- 2. Training, in worker processes


def train(
    graphs: Mapping[Key, Graph], dataset: Dataset, recipe: Recipe, args: argparse.Namespace, kept: pandas.DataFrame
) -> pandas.DataFrame:
    """Trains what is not in `kept` yet, the deepest first, and writes curves.csv whenever a network ended."""
    known = {Key(*row) for row in kept[list(Key._fields)].itertuples(index=False)}
    waiting = sorted(graphs.keys() - known, key=lambda key: (-key.depth, key.seed, key.family))
    if not waiting:
        return kept
    with TrainingEvaluator(dataset, workers=args.workers, device=args.device) as evaluator:
        for i, key in enumerate(waiting):
            source = partial(write_source, graphs[key])
            evaluator.submit(i, Request(f"{key.family}-{key.depth}", None, source, recipe, key.seed, args.epochs))
        left = len(waiting)
        while left:
            for i, measured in evaluator.collect(None):
                left -= 1
                if not measured.outcome.measured and str(measured.outcome) != "diverged":
                    print(f"{told(waiting[i], measured)}; not kept, the same command tries it again", flush=True)
                    continue
                rows = curve(waiting[i], measured)
                kept = pandas.concat([kept, rows], ignore_index=True) if len(kept) else rows
                write_csv(kept, args.out / "curves.csv")
                print(f"{told(waiting[i], measured)}; {left} to go", flush=True)
    return kept


def curve(key: Key, measured: Measurement) -> pandas.DataFrame:
    """Returns one row an epoch; errors in per cent. Training errors are those of the images as the network saw them."""
    rows = [
        {
            **key._asdict(),
            "epoch": int(entry["epoch"]),
            "train_error": 100 * (1 - entry["train_accuracy"]),
            "val_error": 100 * (1 - entry["val_accuracy"]),
            "train_loss": entry["train_loss"],
            "val_loss": entry["val_loss"],
            "seconds": entry["seconds"],
            "outcome": str(measured.outcome),
        }
        for entry in measured.curve
    ]
    return pandas.DataFrame(rows)


def told(key: Key, measured: Measurement) -> str:
    name = f"{key.family}, {key.depth} layers, seed {key.seed}"
    if not measured.metrics:
        return f"{name}: {measured.outcome}: {measured.error}"
    errors = [100 * (1 - measured.metrics[f"{split}_accuracy"]) for split in ("train", "val")]
    return f"{name}: training error {errors[0]:.2f} %, validation error {errors[1]:.2f} %, {measured.seconds:.0f} s"


def write_csv(table: pandas.DataFrame, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    table.to_csv(temporary, index=False)
    os.replace(temporary, path)


def kept_curves(folder: Path, settings: Mapping[str, Any]) -> pandas.DataFrame:
    """Returns what an earlier start left in the folder; other settings are refused."""
    folder.mkdir(parents=True, exist_ok=True)
    text, path = json.dumps(settings, indent=2) + "\n", folder / "settings.json"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise nas.NasError(f"{folder} holds curves of other settings ({path}); choose another --out")
    path.write_text(text, encoding="utf-8")
    found = folder / "curves.csv"
    return pandas.read_csv(found) if found.exists() else pandas.DataFrame(columns=[*Key._fields])


# ---- 3. What came out


def final_table(curves: pandas.DataFrame, graphs: Mapping[Key, Graph], epochs: int, images: int) -> pandas.DataFrame:
    """Returns errors in per cent after the last epoch, a row a network.

    Of one seed `val_low` and `val_high` are the 95 % interval for the number of validation images, of several the errors are
    means and the bounds the smallest and the largest.
    """
    rows = []
    for (family, depth), networks in curves.groupby(["family", "depth"], sort=False):
        cost = cost_of(next(graph for key, graph in graphs.items() if (key.family, key.depth) == (family, depth)))
        last = networks[networks["epoch"] == epochs]
        row = {"family": family, "depth": depth, "params": cost.params, "macs": cost.macs, "seeds": len(last)}
        if len(last) == 1:
            low, high = (100 * bound for bound in wilson(float(last["val_error"].iloc[0]) / 100, images))
        else:
            low, high = last["val_error"].min(), last["val_error"].max()
        errors = {
            "train_error": last["train_error"].mean(),
            "val_error": last["val_error"].mean(),
            "val_low": low,
            "val_high": high,
        }
        rows.append(row | errors | {"outcome": ", ".join(networks["outcome"].unique())})
    return pandas.DataFrame(rows).sort_values(["family", "depth"], ignore_index=True)


def compared(table: pandas.DataFrame) -> list[str]:
    """Returns in a sentence a family how its training error went from the shallowest to the deepest network."""
    lines = []
    for family, rows in table.dropna(subset="train_error").groupby("family"):
        first, last = rows.iloc[0], rows.iloc[-1]
        errors = f"{first['train_error']:.1f} % with {first['depth']} layers, {last['train_error']:.1f} % with {last['depth']}"
        lines.append(
            f"{family}: training error {errors}; validation error {first['val_error']:.1f} % and {last['val_error']:.1f} %"
        )
    return lines


def draw(curves: pandas.DataFrame, title: str, out: Path) -> Saved:
    """Error against epoch; thin: training, bold: validation; plain on the left, residual on the right, on one scale."""
    figure, panels = new_figure(7.6, 3.9, 2)
    depths = sorted(curves["depth"].unique())
    styles = {depth: style(i) for i, depth in enumerate(depths)}
    mean = curves.groupby(["family", "depth", "epoch"], as_index=False)[["train_error", "val_error"]].mean()
    early = mean[mean["epoch"] >= max(1, curves["epoch"].max() // 5)]  # the first epochs would flatten all the rest
    top = min(100.0, 1.08 * early[["train_error", "val_error"]].max().max())
    bottom = max(0.0, early[["train_error", "val_error"]].min().min() - 0.06 * top)
    for axes, family in zip(panels, ("plain", "residual"), strict=True):
        axes.set_ylim(bottom, top)
        axes.set_title(family, fontsize=9)
        axes.set_xlabel("Epoch")
        axes.set_ylabel("Error (%)")
        axes.locator_params(axis="x", integer=True)
        label_ends(axes, [draw_network(axes, rows, styles[depth]) for depth, rows in of_family(mean, family)])
    lines = [panels[0].plot([], [], color="#444444", linewidth=width)[0] for width in (0.8, 2.0)]
    figure.legend(lines, ["training", "validation"], loc="outside upper center", ncols=2)
    caption = f"Training error (thin) and validation error (bold) of plain and residual networks, by layers. {title}."
    return save_figure(figure, out, "depth", caption)


def of_family(mean: pandas.DataFrame, family: str) -> list[tuple[int, pandas.DataFrame]]:
    rows = mean[mean["family"] == family]
    return [(depth, rows[rows["depth"] == depth]) for depth in rows["depth"].unique()]


def draw_network(axes: Any, rows: pandas.DataFrame, style: Style) -> Label:
    """Draws the two curves of one network and returns the label of the bold one's end."""
    name = f"{rows['depth'].iloc[0]} layers"
    for split, column, width in (("training", "train_error", 0.8), ("validation", "val_error", 2.0)):
        (line,) = axes.plot(rows["epoch"], rows[column], color=style.colour, linewidth=width)
        explain(line, f"{name}, {split}: {rows[column].iloc[-1]:.2f} % after epoch {rows['epoch'].iloc[-1]}")
    return Label(name, rows["epoch"].iloc[-1], rows["val_error"].iloc[-1], colour=style.colour)


# ---- 4. All of it


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the text above as it stands, and defaults where there are some."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line; bad input ends with one line and exit code 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").replace("%", "%%"), formatter_class=Help)
    option = parser.add_argument
    option("--depths", default="20,56", help="layers, each 6n + 2")
    option("--families", default="plain,residual", help="which of the two to train")
    option("--epochs", type=int, default=6, help="of each training")
    option("--width", type=int, default=8, help="channels of the first stage")
    option("--data", default="fashion-mnist-12k", help="what nas takes as --data")
    option("--seeds", default="0", help="of weights and order; the curves of several are averaged")
    option("--batch-size", type=int, default=128, help="images a step")
    option("--lr", type=float, default=0.1, help="highest learning rate; falls linearly to 0")
    option("--warmup", type=float, default=0.1, help="share of all steps in which the rate rises first")
    option("--shift", type=int, default=0, help="pixels by which training images are shifted; above 0 they are mirrored too")
    option("--workers", type=int, help="trainings at a time; one a core when left out")
    option("--device", default="auto", help="auto, cpu, cuda or mps")
    option("--out", type=Path, default=Path("runs/depth"), help="folder for figures, page and tables; the same folder goes on")
    args = parser.parse_args(arguments)
    try:
        with paper_look():
            compare(args)
    except (nas.NasError, OSError) as error:
        parser.exit(2, f"error: {error}\n")


def compare(args: argparse.Namespace) -> None:
    """Trains what is missing, draws and writes."""
    if args.epochs < 1:
        raise nas.NasError(f"--epochs is {args.epochs}, expected at least 1")
    dataset = load_data(args.data)
    augmented = {"shift": args.shift, "flip": args.shift > 0 and dataset.flip}
    recipe = Recipe(batch_size=args.batch_size, lr=args.lr, warmup=args.warmup, weight_decay=1e-4, label_smoothing=0.0, **augmented)
    keys = [Key(family, depth, seed) for family in families(args) for depth in whole(args.depths) for seed in whole(args.seeds)]
    shape, classes = dataset.input_shape, len(dataset.class_names)
    graphs = {
        key: find_network(network(key.family, key.depth, args.width), input_shape=shape, classes=classes).graph for key in keys
    }
    settings = {"data": dataset.digest, "width": args.width, "epochs": args.epochs, "recipe": asdict(recipe)}
    curves = train(graphs, dataset, recipe, args, kept_curves(args.out, settings))
    curves = curves[[Key(*row) in graphs for row in curves[list(Key._fields)].itertuples(index=False)]]  # what was asked for
    if curves.empty:
        raise nas.NasError("no network ended its first epoch; a lower --lr may help")
    table = final_table(curves, graphs, args.epochs, dataset.size("val"))
    write_csv(table, args.out / "final.csv")
    print(table.drop(columns="outcome").to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    title = f"{dataset.name}, {dataset.size('train'):,} training images, width {args.width}, {args.epochs} epochs"
    lines = compared(table)
    print("\n".join(lines))
    saved = draw(curves, title, args.out)
    write_page(
        args.out / "index.html", "The challenge of depth", [title, *lines], [saved], [("Errors after the last epoch", table)]
    )
    print(f"wrote {args.out / 'index.html'}, depth.svg, depth.pdf, curves.csv and final.csv")


def families(args: argparse.Namespace) -> list[str]:
    found = [name.strip() for name in args.families.split(",")]
    if wrong := [name for name in found if name not in ("plain", "residual")]:
        raise nas.NasError(f"--families {wrong[0]!r} is unknown; expected plain, residual or both")
    return found


def whole(text: str) -> list[int]:
    """Reads "8,14,20"."""
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise nas.NasError(f"{text!r} cannot be read; expected whole numbers such as 8,14,20")
    return sorted({int(part) for part in text.split(",")})


if __name__ == "__main__":
    main()
