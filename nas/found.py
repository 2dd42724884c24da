"""One network of a run: what it is, how it was measured, where its weights lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.again import parted
from nas.database import open_reader
from nas.domains import Genotype
from nas.errors import RunError
from nas.measurement import Measurement
from nas.rows import BaselineRow, EvaluationRow, NetworkRow, ProposalRow
from nas.storage import read_baselines, read_evaluations, read_networks, read_proposals, read_recipes
from nas.trials import deepest, measured_at, short_ids, with_curve

if TYPE_CHECKING:
    from nas.graph import Graph
    from nas.run import Run


@dataclass(frozen=True)
class Found:
    """One network of a run.

    Attributes:
        run: Where it was found.
        id: First characters of its fingerprint, enough to tell it from the run's other networks.
        fingerprint: Its identity.
        genotype: The decisions of the proposal that was evaluated.
        recipe: The closed recipe it was trained with, field to value.
        costs: Exact costs by name.
        measurement: Its deepest training segment, with the curve of all its epochs; None while it is pending.
        graph_json: The simplified graph as JSON text.
        stored_source: The text of the module that was trained; None where nothing generated it.
    """

    run: Run
    id: str
    fingerprint: str
    genotype: Genotype = field(repr=False)
    recipe: Mapping[str, Any] = field(repr=False)
    costs: Mapping[str, float]
    measurement: Measurement | None
    graph_json: bytes = field(repr=False)
    stored_source: str | None = field(repr=False)

    @cached_property
    def graph(self) -> Graph:
        """The simplified graph."""
        from nas.graph import graph_from_json

        return graph_from_json(self.graph_json)

    @cached_property
    def source(self) -> str:
        """The network as Python text: the very text that was trained, else written from the graph."""
        if self.stored_source is not None:
            return self.stored_source
        from nas.source import write_source

        return write_source(self.graph)

    @property
    def values(self) -> dict[str, float]:
        """Exact costs and metrics by name."""
        return {**self.costs, **(self.measurement.metrics if self.measurement else {})}

    @property
    def weights(self) -> Path | None:
        """The file with the weights of the brief training; None where none was kept."""
        name = self.measurement.checkpoint if self.measurement else ""
        return self.run.folder / name if name and (self.run.folder / name).is_file() else None

    def export(self, path: str | Path) -> Any:
        """Writes the network as plain PyTorch source that needs nothing of this package; see `nas.export`."""
        from nas.export import export_network

        return export_network(self, Path(path))


def found_networks(run: Run, fingerprints: Iterable[str], epochs: int | None) -> list[Found]:
    """Returns networks of a run in the order of their fingerprints, reading the record once; see `nas.run.Run.networks`."""
    wanted = list(fingerprints)
    proposals: dict[str, list[ProposalRow]] = {key: [] for key in wanted}
    evaluations: dict[str, list[EvaluationRow]] = {key: [] for key in wanted}
    with open_reader(run.folder) as connection:
        ids = short_ids(key for (key,) in connection.execute("SELECT fingerprint FROM networks"))
        if unknown := [key for key in wanted if key not in ids]:
            raise RunError(f"{run.folder} holds no network with fingerprint {unknown[0]}")
        rows = {row.fingerprint: row for row in read_networks(connection, wanted)}
        for proposal in read_proposals(connection):
            if proposal.fingerprint in proposals:
                proposals[proposal.fingerprint].append(proposal)
        segments, _ = parted(read_evaluations(connection))
        for evaluation in segments if epochs is None else measured_at(segments, epochs):
            if evaluation.fingerprint in evaluations:
                evaluations[evaluation.fingerprint].append(evaluation)
        baselines = {row.fingerprint: row for row in read_baselines(connection)}
        recipes = read_recipes(connection)
    return [_assembled(run, rows[key], ids[key], proposals[key], evaluations[key], baselines.get(key), recipes) for key in wanted]


def _assembled(
    run: Run,
    network: NetworkRow,
    id: str,
    proposals: Sequence[ProposalRow],
    evaluations: Sequence[EvaluationRow],
    baseline: BaselineRow | None,
    recipes: Mapping[str, Any],
) -> Found:
    """Returns a network as it was evaluated; one that was never proposed, as it was trained as a baseline."""
    if proposals:
        segment = deepest(run.objectives, evaluations, network.costs)
        proposal = next((row for row in proposals if segment and row.id == segment.proposal), proposals[0])
        genotype, recipe, measurement = (
            proposal.genotype,
            proposal.recipe,
            with_curve(segment, evaluations) if segment else None,
        )
    else:
        assert baseline is not None
        genotype, recipe, measurement = {}, baseline.recipe, baseline.measurement
    return Found(
        run=run,
        id=id,
        fingerprint=network.fingerprint,
        genotype=genotype,
        recipe=recipes[recipe] or {},
        costs=network.costs,
        measurement=measurement,
        graph_json=network.graph,
        stored_source=network.source,
    )
