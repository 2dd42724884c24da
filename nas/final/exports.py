"""Writes what is left of a final training: each network and seed as source and weights, its curve, one table of all."""

from __future__ import annotations

import csv
import io
import shutil
from typing import TYPE_CHECKING

from nas.costs import cost_of
from nas.errors import EvaluationError
from nas.export import export_network
from nas.files import write_whole
from nas.final.folder import CURVE, IMAGES, PROBE, SOURCE, TABLE
from nas.final.results import FinalTraining, csv_text, network_results, plain, with_noise
from nas.final.state import Training
from nas.lines import counted

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.final.engine import Work
    from nas.final.picks import Pick


def export_all(work: Work, dataset: Dataset, trust_code: bool) -> None:
    """Exports every training that is complete and is not exported yet, and deletes its checkpoint.

    Raises:
        EvaluationError: When a file cannot be written, or outputs differ.
    """
    plan = work.folder.state.plan
    assert plan is not None
    for training in work.trainings:
        if not training.complete or training.exported or work.stopped():
            continue
        pick, place = work.picks[training.network], work.folder.place(training.network, training.seed)
        recipe = plan.recipe(pick.key)
        export_network(
            pick.graph,
            place / SOURCE,
            weights=work.folder.weights(training),
            data=dataset,
            mirror=recipe.mirrors(dataset.flip),
            header=_header(work, pick, training, dataset),
            trust_code=trust_code,
        )
        write_whole(place / CURVE, _curve_text(training))
        training.exported, training.checkpoint = True, ""
        work.folder.keep(training)


def finish(work: Work, test_images: int) -> FinalTraining:
    """Writes `final.json` and `final.csv`, deletes the copies of the images, and returns what came out.

    Args:
        work: All of it is done.
        test_images: How many the data have.

    Raises:
        EvaluationError: When no training succeeded.
    """
    folder, plan = work.folder, work.folder.state.plan
    assert plan is not None
    results = [
        network_results(pick, [t for t in work.trainings if t.network == key], folder.folder, test_images)
        for key, pick in work.picks.items()
    ]
    networks = with_noise(results)
    folder.state.results = [plain(network) for network in networks]
    folder.save()
    if not any(training.complete for training in work.trainings):
        training = work.trainings[0]
        name = work.picks[training.network].name
        advice = "; a lower learning rate may help" if training.outcome == "diverged" else "; the same command tries again"
        raise EvaluationError(f"training of {name} {training.outcome}: {training.error}{advice}")
    write_whole(folder.folder / TABLE, csv_text(networks))
    for copy in (IMAGES, PROBE):
        shutil.rmtree(folder.folder / copy, ignore_errors=True)
    return FinalTraining(folder.folder, plan.epochs, networks)


def _curve_text(training: Training) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(training.curve[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(training.curve)
    return text.getvalue()


def _header(work: Work, pick: Pick, training: Training, dataset: Dataset) -> str:
    """Returns what the exported file says of itself."""
    held_out = "val_accuracy" in training.metrics
    images = dataset.size("train") + (0 if held_out else dataset.size("val"))
    trained = f"trained for {counted(training.epochs, 'epoch')} on {counted(images, 'image')} of {dataset.name}"
    lines = [f"{pick.name}, {trained} ({dataset.digest[:16]}) by paretonas", "", f"seed          {training.seed}"]
    test = training.test
    if "test_accuracy" in test:
        interval = f"95 % interval {test['test_accuracy_low']:.4f} to {test['test_accuracy_high']:.4f}"
        lines.append(f"test_accuracy {test['test_accuracy']:.4f} ({interval}, {counted(int(test['test_images']), 'image')})")
    if held_out:
        lines.append(f"val_accuracy  {training.metrics['val_accuracy']:.4f} ({counted(dataset.size('val'), 'image')})")
    cost = cost_of(pick.graph)
    lines.append(f"costs         {cost.params:,} parameters, {cost.macs:,} multiply-adds ({cost.flops:,} FLOPs) an image")
    return "\n".join([*lines, "", "    python network.py photo.jpg", "    from network import load, predict"])
