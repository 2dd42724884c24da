"""Reports: whole, offline, escaped, of any number of objectives, readable where parts of a record are not."""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import nas.report.write
from nas.budget import Budget
from nas.builder import GraphBuilder
from nas.canonical import canonical
from nas.costs import cost_of
from nas.errors import RunError
from nas.intervals import wilson
from nas.measurement import Measurement, Outcome
from nas.objectives import Objective, objectives
from nas.record import Record
from nas.report import write_report
from nas.report.content import Content, gather
from nas.report.write import csv_text, page
from nas.rows import BaselineRow, EvaluationRow, NetworkRow, ProposalRow
from nas.run import Run, open_run
from nas.settings import start_options

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"


def settings(ranked: tuple[Objective, ...], name: str = "small") -> dict[str, Any]:
    return {
        "space": {"name": name, "digest": "d" * 16, "definition": {"border": "floor"}},
        "data": {
            "name": name, "digest": "e" * 64, "input_shape": [3, 8, 8], "class_names": ["a", name], "mean": [0.5], "std": [0.5],
            "preprocessing": {}, "training_images": 80, "validation_images": 200,
            "validation_counts": [150, 50],
        },
        "strategy": {"name": "random", "options": {}},
        "objectives": [asdict(o) for o in ranked],
        "constraints": ["params<=1M"],
        "task": {"name": "classification", "metrics": ["accuracy"]},
        "epochs": 2,
        "seed": 0,
        "evaluator": "training",
    }  # fmt: skip


def write(
    folder: Path,
    names: tuple[str, ...] = ("val_accuracy", "params"),
    accuracies: tuple[float, ...] = (0.9, 0.8, 0.7),
    evil: str = "",
    ranked: tuple[Objective, ...] = (),
) -> Run:
    """A run of networks that grow with their accuracy, one that crashed, and a repeat."""
    options = start_options({"deadline": 60.0}, Budget(evaluations=5), 1, "cpu")
    with Record(folder, settings(ranked or objectives(names), evil or "small"), options) as record:
        recipe = record.add_recipe({"lr": 0.1, evil or "x": evil})
        outcomes = [*accuracies, None]
        for k, accuracy in enumerate(outcomes):
            b = GraphBuilder((3, 8, 8), classes=2)
            b.label = evil or f"stem[{k}]"
            x = b.conv(b.input, 40 - 4 * k, 3, norm="batch", activation="relu")
            graph, key = canonical(b.finish(b.linear(b.flatten(b.global_avg_pool(x)), 2)))
            costs = {"params": cost_of(graph).params, "macs": cost_of(graph).macs}
            record.add_network(NetworkRow(key, costs, graph.to_json(), f"class Network:  # {evil or k}\n    pass\n"))
            rejected = {evil or "params<=1M": 2} if k == 0 else {}
            genotype = {"stem.channels": 40 - 4 * k, evil or "a": evil or True}
            record.add_proposal(ProposalRow(k, key, recipe, genotype, rejected=rejected, finished=k))
            curve = tuple({"epoch": e, "train_accuracy": 0.5, "val_accuracy": 0.4 + e / 10} for e in (1, 2))
            measured = Measurement(Outcome.COMPLETE, {"val_accuracy": accuracy or 0.0}, curve, 2, 3.0)
            failed = Measurement(Outcome.CRASHED, epochs=1, error=evil or "=boom")
            record.add_evaluation(EvaluationRow(k, key, recipe, "", 0, 0, 2, failed if accuracy is None else measured))
        record.add_proposal(ProposalRow(len(outcomes), key, recipe, {}, repeat_of=len(outcomes) - 1, finished=len(outcomes)))
    return open_run(folder)


class Page(HTMLParser):
    """What a browser makes of a page: tags with attributes, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words.append(data)

    def ids(self) -> set[str]:
        return {str(attributes["id"]) for _, attributes in self.tags if "id" in attributes}

    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[[a.get("id") for t, a in self.tags if t == "script"].index("data")])
        return found


def shown(content: Content) -> Page:
    return Page(page(content, "/* plotly */"))


def test_the_file_holds_everything_and_loads_nothing(tmp_path: Path) -> None:
    run = write(tmp_path / "run")
    path = run.report(tmp_path / "out" / "report.html")
    text = path.read_text("utf-8")
    seen = Page(text)
    assert "plotly.js v" in text and path.stat().st_size < 8e6
    loads = [(tag, key) for tag, attributes in seen.tags for key in attributes if key in ("src", "srcset", "action", "data")]
    links = [a["href"] for tag, a in seen.tags if "href" in a]
    assert loads == [] and all(str(link).startswith("#net-") for link in links)
    policy = next(a["content"] for tag, a in seen.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "default-src 'none'" in policy and "http" not in policy
    for found in run.networks(run.front()["fingerprint"]):
        assert f"net-{found.id}" in seen.ids()
    assert len([tag for tag, a in seen.tags if tag == "svg" and a.get("class") == "nas-picture"]) == len(run.front())


def test_the_csv_has_one_row_a_network(tmp_path: Path) -> None:
    run = write(tmp_path / "run")
    with run.report().with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["front"] for row in rows] == ["True", "True", "True", "False"]
    assert [row["id"] for row in rows] == run.trials()["id"].tolist()
    assert json.loads(rows[0]["genotype"]) == {"stem.channels": 40, "a": True}
    assert rows[3]["error"] == "'=boom", "a spreadsheet must not take an error for a formula"


def test_numbers_are_those_of_the_run(tmp_path: Path) -> None:
    run = write(tmp_path / "run")
    content = gather(run)
    front, data = run.front(), shown(content).data()
    assert [one.id for one in content.front] == front["id"].tolist()
    assert data["points"]["val_accuracy"] == [0.9, 0.8, 0.7, None] and data["points"]["front"] == [True, True, True, False]
    low, high = data["intervals"]["val_accuracy"][content.front[0].id]
    assert (low, high) == (front["val_accuracy_low"][0], front["val_accuracy_high"][0])
    assert content.front[0].values["val_accuracy"].startswith("90.00 % (")
    assert data["curves"][content.front[0].id]["val_accuracy"] == [0.5, 0.6]
    assert content.outcomes == [("complete", 3, ""), ("crashed", 1, "=boom")]
    assert content.rejected == [("params<=1M", 2)] and content.repeats == 1
    assert "4 networks evaluated" in content.summary and "3 on the Pareto front" in content.summary
    facts = dict(content.facts)
    assert facts["strategy"] == "random" and facts["seed"] == "0" and "lr" in facts["recipe"] and "command" in facts


@pytest.mark.parametrize("names", [("val_accuracy",), ("params",), ("val_accuracy", "params"), ("val_accuracy", "params", "macs")])
def test_any_number_of_objectives(tmp_path: Path, names: tuple[str, ...]) -> None:
    content = gather(write(tmp_path / "run", names))
    assert len(content.front) == (1 if len(names) == 1 else 3)
    seen = shown(content)
    assert seen.data()["objectives"] == list(names)
    marks = [mark for one in content.front for mark, _ in one.marks if mark == "knee"]
    assert len(marks) == (0 if len(names) == 1 else 1), "one objective has no knee"


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    own = (*objectives(("val_accuracy",)), replace(Objective("params", "minimize"), unit=EVIL))
    seen = shown(gather(write(tmp_path / "run", evil=EVIL, ranked=own)))
    assert len(seen.scripts) == 3, "data, plotly, and the page's own"
    assert not [tag for tag, _ in seen.tags if tag in ("img", "iframe", "object", "b")]
    assert not [key for _, attributes in seen.tags for key in attributes if key.startswith("on")]
    assert "".join(seen.words).count(EVIL) >= 6, "in table cells, facts and source, as it was written"
    assert any(EVIL in column["label"] for column in seen.data()["columns"])


def test_networks_that_only_guess_are_told_with_what_to_try(tmp_path: Path) -> None:
    content = gather(write(tmp_path / "guess", accuracies=(0.75, 0.5)))
    assert content.advice.startswith("no network does better than naming every image 'a': the best val_accuracy is 0.7500")
    assert any(content.advice in words for words in Page(page(content, "")).words)
    assert gather(write(tmp_path / "learn")).advice == ""


def test_a_run_without_a_result(tmp_path: Path) -> None:
    content = gather(write(tmp_path / "run", accuracies=()))
    assert content.front == [] and "no Pareto front" in content.summary
    seen = shown(content)
    assert "No network was measured" in "".join(seen.words) and seen.data()["first"] == ""


def test_a_run_that_is_being_written(tmp_path: Path) -> None:
    with Record(tmp_path, settings(objectives(("val_accuracy", "params"))), start_options({}, Budget(evaluations=5), 1, "cpu")):
        content = gather(open_run(tmp_path))
    assert content.front == [] and "has not ended" in content.summary and shown(content).data()["points"]["id"] == []


def test_a_graph_that_cannot_be_read_costs_its_picture_alone(tmp_path: Path) -> None:
    write(tmp_path)
    options = start_options({}, Budget(evaluations=9), 1, "cpu")
    with Record(tmp_path, settings(objectives(("val_accuracy", "params"))), options) as record:
        recipe = record.add_recipe({"lr": 0.1})
        record.add_network(NetworkRow("f" * 32, {"params": 1, "macs": 1}, b'{"nodes": []}'))
        record.add_proposal(ProposalRow(5, "f" * 32, recipe, {}))
        measured = Measurement(Outcome.COMPLETE, {"val_accuracy": 0.95})
        record.add_evaluation(EvaluationRow(5, "f" * 32, recipe, "", 0, 0, 2, measured))
        record.finish(5, 5)
    content = gather(open_run(tmp_path))
    assert [bool(one.picture) for one in content.front] == [False]
    assert "cannot be shown: GraphError" in content.front[0].problem and content.front[0].problem in "".join(shown(content).words)


def test_baselines_stand_beside_the_front_each_network_once(tmp_path: Path) -> None:
    run = write(tmp_path)
    best = run.best()
    with Record(tmp_path, run.settings, run.starts()[-1]["options"]) as record:
        recipe = record.add_recipe({"lr": 0.1})
        record.add_network(NetworkRow("f" * 32, {"params": 1, "macs": 1}, best.graph_json, "class Network:\n    pass\n"))
        failed = Measurement(Outcome.CRASHED, error="boom")
        for name, key, accuracy in (("known", best.fingerprint, 0.85), ("same", best.fingerprint, 0.95), ("other", "f" * 32, 0.0)):
            measured = Measurement(Outcome.COMPLETE, {"val_accuracy": accuracy}, ({"epoch": 1},), 2, 3.0)
            record.add_baseline(BaselineRow(name, key, recipe, measured if accuracy else failed))
    content = gather(open_run(tmp_path))
    verdicts = {one.name: one.verdict for one in content.baselines}
    assert verdicts == {
        "known": f"beaten by {best.id}; the val_accuracy cannot be told apart from its own",
        "same": "not beaten",
        "other": "crashed: boom",
    }
    low, high = wilson(0.85, 200)
    assert content.intervals["val_accuracy"]["baseline known"] == (low, high)
    assert "baseline other" not in content.intervals["val_accuracy"], "it failed"
    known = next(one.network for one in content.baselines if one.name == "known")
    assert known.values["val_accuracy"] == f"85.00 % ({100 * low:.2f} to {100 * high:.2f})"
    found = shown(content)
    sections = [attributes["data-id"] for tag, attributes in found.tags if tag == "tr" and "data-id" in attributes]
    assert set(sections) >= {one.network.id for one in content.baselines}
    ids = [str(attributes["id"]) for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(found.data()["curves"][best.id]["epoch"]) == 2, "the candidate's own"


def test_many_networks_are_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    import zlib

    content = gather(write(tmp_path))
    whole = page(content, "")
    monkeypatch.setattr(nas.report.write, "OPEN_BYTES", 10)
    text = page(content, "")
    packed = re.findall(r'id="packed-(\w+)">([^<]*)<', text)
    assert len(packed) == len(content.front) - 1 and len(text) < len(whole)
    assert f'id="net-{content.knee}"' in text, "the one that shows first is open"
    for id, inside in packed:
        assert f'id="net-{id}"' not in text
        assert zlib.decompress(base64.b64decode(inside)).decode() in whole


def test_equal_runs_give_equal_pages(tmp_path: Path) -> None:
    content = gather(write(tmp_path))
    assert page(content, "") == page(gather(open_run(tmp_path)), "") and csv_text(content.table) == csv_text(content.table)


def test_bad_places_give_one_line(tmp_path: Path) -> None:
    run = write(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"report .* cannot be written"):
        write_report(run, tmp_path / "file" / "report.html")
    assert not [name for name in os.listdir(tmp_path / "run") if name.endswith(".tmp")]
