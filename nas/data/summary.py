"""A data set in words: what `nas data DATA` prints."""

from __future__ import annotations

from nas.data.content import SPLITS, shown
from nas.data.dataset import Dataset
from nas.lines import Cell, aligned


def describe(dataset: Dataset) -> str:
    """Returns shape, split, class counts, mean and deviation, digest, folder and notes, as aligned plain lines."""
    channels, height, width = dataset.input_shape
    kind = "bytes" if dataset.images("train").dtype == "uint8" else "float32"
    steps = dataset.preprocessing
    photo = (
        f"{steps['color']}, {height} x {width} by {steps['resize']}"
        if steps["color"]
        else "none (these arrays cannot be made from photos)"
    )
    rows = [
        ("data", shown(dataset.name)),
        ("images", f"{sum(map(dataset.size, SPLITS)):,} of {channels} x {height} x {width} (channels x height x width), {kind}"),
        ("split", ", ".join(f"{split} {dataset.size(split):,}" for split in SPLITS)),
        ("classes", str(len(dataset.class_names))),
        ("mean", _numbers(dataset.mean) + (" (of train, bytes divided by 255)" if kind == "bytes" else " (of train)")),
        ("std", _numbers(dataset.std)),
        ("mirrored", "yes, by default" if dataset.flip else "no, by default"),
        ("shifted", "no, by default: what is shown is centred" if dataset.centred else "yes, by default"),
        ("photos", photo),
        ("digest", dataset.digest),
        ("cache", shown(str(dataset.folder))),
    ]
    lines = [f"{name:<10}{value}" for name, value in rows]
    lines += ["", *_table(dataset)]
    if dataset.notes:
        lines += ["", "notes", *(f"  - {shown(note)}" for note in dataset.notes)]
    return "\n".join(lines)


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _table(dataset: Dataset) -> list[str]:
    """Returns one line a class: images in each split."""
    rows: list[list[Cell]] = [["class", *SPLITS]]
    rows += [[shown(name), *(dataset.counts[split][i] for split in SPLITS)] for i, name in enumerate(dataset.class_names)]
    rows.append(["all", *map(dataset.size, SPLITS)])
    return aligned(rows).split("\n")
