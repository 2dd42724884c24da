"""Exports a network: plain PyTorch source that needs nothing of this package, its weights beside it, and a check that both agree.

Where the text that was trained is not what this package writes for the graph (an operation of somebody's own), the check would
execute code that came with the run; then it takes `trust_code`.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.costs import cost_of
from nas.data import Dataset
from nas.data.cache import cache_root
from nas.errors import DataError, EvaluationError
from nas.found import Found
from nas.graph import Graph
from nas.hints import quoted
from nas.intervals import INTERVAL_METRICS, wilson
from nas.lines import counted
from nas.ops import RecordedOp
from nas.outline import shape_words
from nas.recipe import Recipe
from nas.source import write_source
from nas.standalone import Usage, standalone_text

if TYPE_CHECKING:
    import torch
    from torch import nn

TOLERANCE = 1e-5
"""Largest difference of a logit between the exported and the trained network, relative to the largest logit if that is above 1."""
CHECKED = 256
"""Images the check runs."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The source file.
        weights: The weights file; None where there are no weights.
        images: How many images the check ran; 0 where it did not run.
        checked_on: "validation images" or "random images"; why the check did not run where it did not.
        difference: Largest difference of a logit that the check saw.
    """

    path: Path
    weights: Path | None
    images: int
    checked_on: str
    difference: float

    def __str__(self) -> str:
        files = f"{self.path} and {self.weights.name}" if self.weights else f"{self.path} (no weights)"
        if not self.images:
            return f"wrote {files}; not checked: {self.checked_on}"
        checked = f"on {counted(self.images, self.checked_on.removesuffix('s'))} (largest difference {self.difference:.1e})"
        of = "trained network" if self.weights else "network, untrained,"
        return f"wrote {files}; outputs equal those of the {of} {checked}"


def export_network(
    network: Found | Graph,
    path: str | Path,
    *,
    weights: Path | Mapping[str, torch.Tensor] | None = None,
    data: Dataset | None = None,
    mirror: bool = False,
    header: str = "",
    trust_code: bool = False,
) -> Exported:
    """Writes a network as `OUT.py` and `OUT.safetensors`, replaced by rename when the check has passed.

    The file offers `Network`, `load`, `to_input` and `predict`, and `python OUT.py photo.jpg` prints label and share, or says
    that there are no weights. Without data
    (a bare graph, or a run of an evaluator of one's own) it offers `Network` and `load` alone.

    Args:
        network: A network of a run, or a simplified graph.
        path: `OUT.py`.
        weights: A safetensors file or tensors by name; None: those of the brief training, where the run kept them.
        data: Decoded images it was trained on; None: what the run says of them, and the decoded cache if they still lie there.
        mirror: Whether logits are to be averaged over mirror images; a network of a run knows.
        header: The file's docstring; where it comes from and what it costs where this is empty.
        trust_code: Whether the check may execute text that this package did not write.

    Raises:
        EvaluationError: When outputs differ, weights do not fit, or the files cannot be written.
    """
    path = Path(path)
    if path.suffix != ".py":
        raise EvaluationError(f"export to {str(path)!r}: expected the name of a Python file, for example 'net.py'")
    found = network if isinstance(network, Found) else None
    graph = network.graph if isinstance(network, Found) else network
    source = found.source if found else write_source(graph)
    usage = _usage(found, data, mirror)
    tensors = _tensors(found.weights if found and weights is None else weights)
    text = standalone_text(source, header or _header(found, graph, path, tensors is not None, usage), usage)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".nas-export-", dir=path.parent) as folder:
            made = Path(folder) / path.name
            made.write_text(text, encoding="utf-8")
            if tensors is not None:
                _save(tensors, made.with_suffix(".safetensors"))
            images, where = _images(found, graph, data, usage)
            difference = 0.0
            if trust_code or is_own_text(graph, source):
                difference = _difference(made, source, tensors, images, usage)
            else:
                images, where = images[:0], "it holds code of somebody's own; say --trust-code where you trust it"
            for file in (made.with_suffix(".safetensors"), made) if tensors is not None else (made,):
                os.replace(file, path.parent / file.name)
    except OSError as error:
        raise EvaluationError(f"export to {path} failed: {error.strerror or error}; choose a folder you can write to") from None
    return Exported(path, path.with_suffix(".safetensors") if tensors is not None else None, len(images), where, difference)


def is_own_text(graph: Graph, source: str) -> bool:
    """Returns whether a network's source is what this package writes for operations of its own, so that it is safe to execute."""
    return not any(isinstance(op, RecordedOp) for op in graph.ops) and source == write_source(graph)


# ---- what the file says


def _usage(found: Found | None, data: Dataset | None, mirror: bool) -> Usage | None:
    """Returns what the data say of using the network, else what the run's settings say of its data."""
    told = found.run.settings.get("data") if found else None
    if found and told:
        mirror = mirror or Recipe(**found.recipe).mirrors(bool(told.get("flip")))
    if data is not None:
        return Usage(data.class_names, data.mean, data.std, data.preprocessing, mirror)
    return Usage(told["class_names"], told["mean"], told["std"], told["preprocessing"], mirror) if told else None


def _header(found: Found | None, graph: Graph, path: Path, weights: bool, usage: Usage | None) -> str:
    cost = cost_of(graph)
    stem = path.stem
    title = f"{stem}: a network for images of {shape_words(graph.input_shape)}"
    lines = [f"{title}, found by paretonas" if found else title, ""]
    if found:
        lines += [f"from    {found.run.folder.name}@{found.id}", *_measured(found)]
    lines.append(f"costs   {cost.params:,} parameters, {cost.macs:,} multiply-adds ({cost.flops:,} FLOPs) an image")
    lines.append(f"weights {stem}.safetensors" if weights else "weights none: load(None) gives fresh ones")
    lines += ["", *([f"    python {quoted(path.name)} photo.jpg"] if usage and usage.reads_photos and weights else [])]
    if stem.isidentifier():
        lines.append(f"    from {stem} import load{', predict' if usage else ''}")
    return "\n".join(lines)


def _measured(found: Found) -> list[str]:
    data, images, lines = found.run.settings.get("data") or {}, found.run.validation_images, []
    for objective in found.run.objectives:
        if objective.exact or objective.name not in found.values:
            continue
        value = found.values[objective.name]
        interval = ""
        if objective.name in INTERVAL_METRICS and images:
            low, high = wilson(value, images)
            interval = f" (95 % interval {low:.4f} to {high:.4f}, {counted(images, 'image')})"
        epochs = found.measurement.epochs if found.measurement else 0
        lines.append(f"{objective.name} {value:.4f}{interval} after {counted(epochs, 'epoch')} of brief training")
    if data:
        lines.append(f"data    {data['name']} ({data['digest'][:16]}), {counted(data['training_images'], 'training image')}")
    return lines


# ---- weights and the check


def _tensors(weights: Path | Mapping[str, torch.Tensor] | None) -> dict[str, torch.Tensor] | None:
    if weights is None:
        return None
    if isinstance(weights, Mapping):
        return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in weights.items()}
    from nas.checkpoint import read_weights

    return read_weights(weights)


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    save_file(tensors, path)


def _images(found: Found | None, graph: Graph, data: Dataset | None, usage: Usage | None) -> tuple[Any, str]:
    """Returns images `(N, C, H, W)` for the check, as they are stored, and what they are."""
    import numpy as np

    if data is None and found is not None and found.run.settings.get("data"):
        data = _cached(found.run.settings["data"]["digest"])
    if data is not None and data.input_shape == graph.input_shape:
        return np.array(data.images("val")[:CHECKED]), "validation images"
    rng = np.random.default_rng(0)
    shape = (min(CHECKED, 32), *graph.input_shape)
    if usage is not None and usage.preprocessing.get("divide_by") == 255:
        return rng.integers(0, 256, shape, dtype=np.uint8), "random images"
    return rng.normal(size=shape).astype(np.float32), "random images"


def _cached(digest: str) -> Dataset | None:
    """Returns the decoded data set of that digest, if it lies in the cache of this machine."""
    try:
        for meta in sorted((cache_root() / "data").glob("*/meta.json")):
            if digest in meta.read_text(encoding="utf-8"):
                return Dataset.open(meta.parent)
    except (DataError, OSError, ValueError):
        pass
    return None


def _difference(path: Path, source: str, tensors: dict[str, torch.Tensor] | None, images: Any, usage: Usage | None) -> float:
    """Loads the file back and compares its outputs with those of the module that was trained.

    Raises:
        EvaluationError: When they differ, or the weights are another network's.
    """
    import torch

    from nas.module import compile_source

    with torch.random.fork_rng(devices=[]):
        exported = _loaded(path)
        trained = compile_source(source).eval()
        try:
            if tensors is not None:
                trained.load_state_dict(tensors)
                other: nn.Module = exported.load()
            else:
                other = exported.load(None)
                other.load_state_dict(trained.state_dict())
        except RuntimeError as error:
            raise EvaluationError(f"the weights are another network's: {' '.join(str(error).split())[:300]}") from None
    with torch.inference_mode():
        expected = trained(_normalised(images, usage))
        given = other(exported.to_input(images) if usage is not None else torch.from_numpy(images))
    difference = float((expected - given).abs().max())
    scale = max(1.0, float(expected.abs().max()))
    if not difference <= TOLERANCE * scale:
        limit = f"expected at most {TOLERANCE * scale:.0e}; nothing was written"
        raise EvaluationError(f"the exported network's outputs differ from the trained one's by {difference:.2e}, {limit}")
    return difference


def _loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("_exported_network", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _normalised(images: Any, usage: Usage | None) -> torch.Tensor:
    """Returns what training gives the network, see `nas.train`."""
    import torch

    x = torch.from_numpy(images)
    if usage is None:
        return x
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (usage.mean, usage.std))
    scale = 255.0 if x.dtype == torch.uint8 else 1.0
    return (x.float() - mean * scale) / (std * scale)
