"""Final training with real networks on a few images: what is written, resumed, refused, and when the test images are read."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from here import Here

from nas import Space
from nas.blocks import Classifier, Conv, Sequential
from nas.builder import GraphBuilder
from nas.canonical import canonical
from nas.data import Dataset, load_data
from nas.database import Lock
from nas.domains import choice
from nas.errors import NasError
from nas.executors.base import Done, Job, TrainJob, UnseenJob
from nas.final import FinalTraining, TrainingStopped, train_network, train_networks
from nas.final.events import Chosen, Failed, FinalEvent, Looking, Planned, Trained
from nas.final.folder import TRAINING
from nas.final.results import results_text
from nas.graph import Graph, graph_from_json
from nas.looks import read_looks
from nas.loop import search
from nas.measurement import Outcome
from nas.ops import Op, Shape
from nas.recipe import Recipe

QUICK = Recipe(batch_size=16, lr=0.05, shift=0, flip=False)
HOW = {"recipe": QUICK, "device": "cpu", "precision": "fp32"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("nas.final.engine.PROBE_PASSES", (1, 1))


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = (rng.integers(0, 60, (90, 1, 8, 8)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    return load_data((images, labels), cache_dir=tmp_path / "cache")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Here]:
    """Returns a function that makes all jobs from now on run in this process."""

    def use(before: Callable[[Job], Done | None] = lambda job: None) -> Here:
        executor = Here(before=before)
        monkeypatch.setattr("nas.final.training.LocalExecutor", lambda slots: executor)
        return executor

    use()
    return use


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of one epoch."""
    for module in ("engine", "timing"):
        monkeypatch.setattr(f"nas.final.{module}.segment_epochs", lambda seconds: 1)


def small(channels: int = 4, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 3) -> Graph:
    b = GraphBuilder(shape, classes=classes)
    x = b.conv(b.input, channels, 3, norm="batch", activation="relu")
    return canonical(b.finish(b.linear(b.flatten(b.global_avg_pool(x)), classes)))[0]


def two(data: Dataset, out: Path, **options: object) -> FinalTraining:
    return train_networks([small(4), small(6)], data, epochs=3, train_seeds=2, out=out, **HOW, **options)


def test_everything_is_written(tmp_path: Path, data: Dataset, here: object) -> None:
    seen: list[FinalEvent] = []
    trained = two(data, tmp_path / "out", progress=seen.append)
    assert [type(event) for event in seen] == [Chosen, Planned, *[Trained] * 4, Looking]
    assert [network.params for network in trained.networks] == [59, 87] and trained.epochs == 3
    for network in trained.networks:
        assert [seed.seed for seed in network.seeds] == [0, 1]
        assert network.test_accuracy == np.mean([seed.metrics["test_accuracy"] for seed in network.seeds])
        assert network.test_interval is not None and network.test_interval[0] < network.test_accuracy < network.test_interval[1]
        assert network.sd("test_accuracy") == pytest.approx(np.std([s.metrics["test_accuracy"] for s in network.seeds], ddof=1))
        for seed in network.seeds:
            assert seed.source is not None and seed.weights is not None and seed.curve is not None
            with seed.curve.open(newline="") as file:
                assert [int(float(row["epoch"])) for row in csv.DictReader(file)] == [1, 2, 3]
            text = seed.source.read_text("utf-8")
            assert f"test_accuracy {seed.metrics['test_accuracy']:.4f}" in text and "trained for 3 epochs on 72 images" in text
            assert seed.weights.is_file()
    told = json.loads((tmp_path / "out" / "final.json").read_text())
    assert [entry["network"] for entry in told["results"]] == [network.name for network in trained.networks]
    assert told["results"][0]["test_accuracy"] == trained.networks[0].test_accuracy
    assert told["looks"][0]["images"] == 18 and len(told["looks"][0]["trainings"]) == 4
    with (tmp_path / "out" / "final.csv").open(newline="") as file:
        assert [(row["seed"], row["test_images"]) for row in csv.DictReader(file)] == [("0", "18"), ("1", "18")] * 2
    assert len(trained.table()) == 4
    left = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert not [name for name in left if name.startswith("epoch-") or name.endswith(".npy")], "checkpoints and copies are gone"


def test_training_and_validation_images_are_trained_on_and_nobody_who_trains_sees_the_test(
    tmp_path: Path, data: Dataset, here: Callable[..., Here]
) -> None:
    opened: list[dict[str, int]] = []

    def look(job: Job) -> None:
        if isinstance(job, TrainJob):
            view = Dataset.open(job.data)
            opened.append({split: view.size(split) for split in ("train", "val", "test")})

    here(look)
    trained = train_network(small(), data, epochs=2, out=tmp_path / "out", **HOW)
    assert opened[-1] == {"train": 72, "val": 0, "test": 0} and all(view["test"] == 0 for view in opened)
    assert not [name for name in trained.seeds[0].metrics if name.startswith("val_")]


def test_validation_images_can_be_held_out(tmp_path: Path, data: Dataset, here: Callable[..., Here]) -> None:
    executor = here()
    trained = train_network(small(), data, epochs=2, hold_out=True, test=False, out=tmp_path / "out", **HOW)
    metrics = trained.seeds[0].metrics
    assert "val_accuracy" in metrics and "val_macro_f1" in metrics and trained.test_accuracy is None
    assert {Dataset.open(job.data).size("train") for job in executor.done[-1:] if isinstance(job, TrainJob)} == {58}
    assert not any(isinstance(job, UnseenJob) for job in executor.done)
    table = results_text(FinalTraining(tmp_path, 2, (trained,)))
    assert "val_accuracy" in table and "test_accuracy" not in table
    again = train_network(small(), data, epochs=2, hold_out=True, out=tmp_path / "out", **HOW)
    assert f"test_accuracy {again.test_accuracy:.4f}" in again.seeds[0].source.read_text("utf-8")
    assert again.test_images == 18 and again.mean("val_accuracy") == trained.mean("val_accuracy"), (
        "measured later, not trained again"
    )
    assert sum(isinstance(job, UnseenJob) for job in executor.done) == 1


def test_test_images_are_measured_once_when_all_is_trained(
    tmp_path: Path, data: Dataset, here: Callable[..., Here], short: None
) -> None:
    executor = here()
    first = two(data, tmp_path / "out")
    kinds = [type(job) for job in executor.done]
    assert kinds.count(UnseenJob) == 4 and kinds[-4:] == [UnseenJob] * 4
    trainings = kinds.count(TrainJob)
    assert two(data, tmp_path / "out") == first, "the same call again reads what is there"
    assert [type(job) for job in executor.done].count(UnseenJob) == 4
    assert [type(job) for job in executor.done].count(TrainJob) == trainings
    assert len(json.loads((tmp_path / "out" / "final.json").read_text())["looks"]) == 1


def weights(trained: FinalTraining) -> list[dict[str, torch.Tensor]]:
    from safetensors.torch import load_file

    return [load_file(seed.weights) for network in trained.networks for seed in network.seeds if seed.weights]


def same(a: FinalTraining, b: FinalTraining) -> bool:
    pairs = zip(weights(a), weights(b), strict=True)
    return all(torch.equal(one[name], other[name]) for one, other in pairs for name in one)


class Killed(BaseException):
    """Ends this process as a test sees it."""


@pytest.mark.parametrize("at", [5, 10, 18])
def test_a_killed_training_goes_on_and_ends_as_an_unbroken_one(
    tmp_path: Path, data: Dataset, here: Callable[..., Here], short: None, at: int
) -> None:
    whole = two(data, tmp_path / "whole")
    jobs: list[Job] = []

    def kill(job: Job) -> None:
        jobs.append(job)
        if len(jobs) == at:
            raise Killed

    here(kill)
    with pytest.raises(Killed):
        two(data, tmp_path / "out")
    broken = two(data, tmp_path / "out")
    assert same(whole, broken)
    assert [n.test_accuracy for n in broken.networks] == [n.test_accuracy for n in whole.networks]
    segments = [(job.source, job.seed, job.first_epoch) for job in jobs if isinstance(job, TrainJob) and job.epochs == 3]
    assert len(segments) - len(set(segments)) <= 1, "only what was in flight is trained again"


def test_a_long_segment_equals_short_ones(tmp_path: Path, data: Dataset, here: object, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = two(data, tmp_path / "whole")
    monkeypatch.setattr("nas.final.engine.segment_epochs", lambda seconds: 1)
    assert same(whole, two(data, tmp_path / "parts"))


def test_a_signal_stops_it_politely(tmp_path: Path, data: Dataset, here: Callable[..., Here], short: None) -> None:
    jobs: list[Job] = []

    def stop(job: Job) -> None:
        jobs.append(job)
        if len(jobs) == 9:
            os.kill(os.getpid(), signal.SIGTERM)

    here(stop)
    with pytest.raises(TrainingStopped) as stopped:
        two(data, tmp_path / "out")
    assert stopped.value.exit_code == 143 and stopped.value.folder == tmp_path / "out"
    assert len(two(data, tmp_path / "out").networks) == 2


def test_a_signal_during_the_look_at_the_test_images_is_no_end(
    tmp_path: Path, data: Dataset, here: Callable[..., Here], short: None
) -> None:
    """Everything was trained and exported before; what is missing is only the test accuracy of one network."""

    def stop(job: Job) -> None:
        if isinstance(job, UnseenJob):
            os.kill(os.getpid(), signal.SIGTERM)

    here()
    two(data, tmp_path / "out", test=False)
    here(stop)
    with pytest.raises(TrainingStopped):
        two(data, tmp_path / "out")
    here()
    assert all(network.test_accuracy is not None for network in two(data, tmp_path / "out").networks)


def test_what_a_killed_start_had_half_written_is_swept(tmp_path: Path, data: Dataset, here: Callable[..., Here]) -> None:
    here()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".final.json.123.tmp").write_text("{")
    trained = train_network(small(), data, epochs=1, train_seeds=1, out=tmp_path / "out", **HOW)
    place = trained.seeds[0].source
    assert place is not None
    halves = [
        place.parent / ".epoch-1.safetensors.123.tmp",
        place.parent / f".{TRAINING}.123.tmp",
        tmp_path / "out" / ".final.json.123.tmp",
    ]
    assert not halves[2].exists()
    for half in halves:
        half.write_bytes(b"half")
    (place.parent / TRAINING).unlink()  # it has to train again
    train_network(small(), data, epochs=1, train_seeds=1, out=tmp_path / "out", **HOW)
    assert not any(half.exists() for half in halves)


def test_what_crashes_is_tried_once_more_and_the_others_go_on(tmp_path: Path, data: Dataset, here: Callable[..., Here]) -> None:
    seen: list[FinalEvent] = []
    crashes = {0: 1, 1: 5}  # by seed: how often

    def crash(job: Job) -> Done | None:
        if isinstance(job, TrainJob) and job.epochs == 2 and crashes[job.seed] > 0:
            crashes[job.seed] -= 1
            return Done(Outcome.CRASHED, error="the process was killed by SIGSEGV")
        return None

    here(crash)
    trained = train_network(small(), data, epochs=2, train_seeds=2, out=tmp_path / "out", progress=seen.append, **HOW)
    assert [seed.outcome for seed in trained.seeds] == ["complete", "crashed"] and trained.seeds[1].source is None
    assert [(event.seed, event.again) for event in seen if isinstance(event, Failed)] == [(0, True), (1, True), (1, False)]
    assert trained.test_accuracy == trained.seeds[0].metrics["test_accuracy"] and trained.sd("test_accuracy") is None
    assert "seed 1: crashed: the process was killed by SIGSEGV" in results_text(FinalTraining(tmp_path, 2, (trained,)))
    crashes[1] = 0
    again = train_network(small(), data, epochs=2, train_seeds=2, out=tmp_path / "out", **HOW)
    assert [seed.outcome for seed in again.seeds] == ["complete", "complete"], "the next start tries it again"


def test_a_training_that_diverges_says_so(tmp_path: Path, data: Dataset, here: object) -> None:
    wild = Recipe(batch_size=16, lr=1e3, shift=0, flip=False, warmup=0.0, momentum=0.9999, label_smoothing=0.0)
    b = GraphBuilder((1, 8, 8), classes=3)
    graph = b.finish(b.linear(b.flatten(b.conv(b.conv(b.input, 16, 3), 16, 3)), 3))
    for _ in range(2):
        with pytest.raises(NasError, match=r"diverged: the training loss was .*; a lower learning rate may help"):
            train_network(graph, data, epochs=3, recipe=wild, device="cpu", precision="fp32", out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "final.json").read_text())["looks"] == []


class _Twice(Op):
    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return f"2 * {inputs[0]}"


def test_code_of_somebody_needs_trust(tmp_path: Path, data: Dataset, here: object) -> None:
    b = GraphBuilder((1, 8, 8), classes=3)
    x = b.apply(_Twice(), b.conv(b.input, 4, 3))
    graph = graph_from_json(b.finish(b.linear(b.flatten(b.global_avg_pool(x)), 3)).to_json())
    with pytest.raises(NasError, match="trust-code"):
        train_network(graph, data, epochs=1, **HOW, out=tmp_path / "out")
    assert train_network(graph, data, epochs=1, **HOW, out=tmp_path / "out", trust_code=True).seeds[0].outcome == "complete"


def test_bad_input_gives_one_line(tmp_path: Path, data: Dataset, here: object) -> None:
    out = tmp_path / "out"
    with pytest.raises(NasError, match=r"takes images of 3 x 8 x 8 and gives 3 values; .* cannot be made for 1 x 8 x 8 and 3"):
        train_network(small(shape=(3, 8, 8)), data, epochs=1, out=out)
    with pytest.raises(NasError, match="gives 5 values"):
        train_network(small(classes=5), data, epochs=1, out=out)
    for name, value in (("epochs", 0), ("train_seeds", 0), ("seed", -1), ("workers", 0), ("threads", 1.5)):
        with pytest.raises(NasError, match=f"{name} is {value}, expected a whole number"):
            train_network(small(), data, **{"out": out, name: value})
    with pytest.raises(NasError, match="budget 'soon' cannot be read"):
        train_network(small(), data, budget="soon", out=out)
    with pytest.raises(NasError, match="'cpu'"):
        train_network(small(), data, epochs=1, device="cpus", out=out)
    with pytest.raises(NasError, match="no network given"):
        train_networks([], data, out=out)
    with pytest.raises(NasError, match="no data given, and only networks of a run know theirs"):
        train_network(small(), out=out)
    assert not out.exists()


def test_a_folder_holds_one_final_training(tmp_path: Path, data: Dataset, here: object) -> None:
    out = tmp_path / "out"
    train_network(small(), data, epochs=1, out=out, **HOW)
    with pytest.raises(NasError, match=r"holds a final training with epochs = 1, now it is 2; .*choose another folder"):
        train_network(small(), data, epochs=2, out=out, **HOW)
    with pytest.raises(NasError, match="fingerprints"):
        train_network(small(6), data, epochs=1, out=out, **HOW)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "metrics.json").write_text("{}")
    with pytest.raises(NasError, match=r"holds no final training but other files \(metrics.json, ...\)"):
        train_network(small(), data, epochs=1, out=tmp_path / "mine", **HOW)
    (out / "final.json").write_text("{")
    with pytest.raises(NasError, match="cannot be read"):
        train_network(small(), data, epochs=1, out=out, **HOW)


def test_two_at_once_in_one_folder(tmp_path: Path, data: Dataset, here: Callable[..., Here]) -> None:
    def second(job: Job) -> None:
        with pytest.raises(NasError, match="is being written by another final training"):
            two(data, tmp_path / "out")

    here(second)
    two(data, tmp_path / "out")


def test_a_budget_chooses_the_epochs(tmp_path: Path, data: Dataset, here: object, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[FinalEvent] = []
    monkeypatch.setattr("nas.final.planning.measure_speed", lambda work, *_: {key: 900.0 for key in work.picks})
    trained = train_network(small(), data, budget="1h", out=tmp_path / "a", progress=seen.append, **HOW)
    assert trained.seeds[0].epochs == 3, "four would fit into the hour, but nothing would be left over"
    (planned,) = [event for event in seen if isinstance(event, Planned)]
    assert str(planned).startswith("3 epochs each (as many as fit into 60 min with 10% to spare), 1 training, 2 at a time")
    assert train_network(small(), data, epochs=2, budget="1h", out=tmp_path / "b", **HOW).seeds[0].epochs == 2
    with pytest.raises(
        NasError,
        match=r"not one epoch of 4 trainings fits into the (18|17) min( \d+ s)? left of 20 min: it takes about 30 min, 2 at a time",
    ):
        train_networks([small(4), small(6)], data, train_seeds=2, budget=1200, out=tmp_path / "c", **HOW)
    assert train_network(small(4), data, budget=1200, out=tmp_path / "c", **HOW).seeds[0].epochs == 1, "nothing to keep it for"


def test_speed_is_measured_on_a_few_images(tmp_path: Path, data: Dataset, here: Callable[..., Here]) -> None:
    executor = here()
    two(data, tmp_path / "out")
    probes = [job for job in executor.done if isinstance(job, TrainJob) and job.epochs == 200]
    assert len(probes) == 2 and len({job.source for job in probes}) == 2 and all(job.checkpoint is None for job in probes)
    plan = json.loads((tmp_path / "out" / "final.json").read_text())["plan"]
    assert len(plan["epoch_seconds"]) == 2 and all(seconds > 0 for seconds in plan["epoch_seconds"].values())
    assert plan["device"] == "cpu" and plan["precision"] == "fp32"


def test_a_space_with_nothing_open(tmp_path: Path, data: Dataset, here: object) -> None:
    space = Space(body=Sequential(Conv(channels=4, kernel=3), Classifier()))
    (trained,) = train_networks(space, data, epochs=1, out=tmp_path / "out", **HOW).networks
    assert trained.seeds[0].outcome == "complete"


def planned_for_cuda(file: Path, **plan: str) -> None:
    """Makes a folder one whose training was begun on another device."""
    state = json.loads(file.read_text())
    state["plan"] |= {"asked_device": "cuda", "device": "cuda"} | plan
    file.write_text(json.dumps(state))


def test_another_device_is_settled_even_where_only_the_test_images_are_left(
    tmp_path: Path, data: Dataset, here: Callable[..., Here]
) -> None:
    def kill(job: Job) -> None:
        if isinstance(job, UnseenJob):
            raise Killed

    here(kill)
    with pytest.raises(Killed):
        two(data, tmp_path / "out")
    planned_for_cuda(tmp_path / "out" / "final.json")
    executor = here()
    assert all(network.test_accuracy is not None for network in two(data, tmp_path / "out").networks)
    assert {job.device for job in executor.done if isinstance(job, UnseenJob)} == {"cpu"}


def test_what_was_given_up_takes_no_more_time(tmp_path: Path, data: Dataset, here: Callable[..., Here], short: None) -> None:
    seen: list[FinalEvent] = []
    here(lambda job: Done(Outcome.CRASHED, error="no") if isinstance(job, TrainJob) and job.seed == 1 and job.epochs == 4 else None)
    train_network(small(), data, epochs=4, train_seeds=2, out=tmp_path / "out", progress=seen.append, **HOW)
    assert [event.seconds > 0 for event in seen if isinstance(event, Trained)] == [True, True, True, False]


def test_another_device_than_before_is_settled_anew(tmp_path: Path, data: Dataset, here: Callable[..., Here], short: None) -> None:
    def kill(job: Job) -> None:
        if isinstance(job, TrainJob) and job.first_epoch == 1:
            raise Killed

    here(kill)
    with pytest.raises(Killed):
        two(data, tmp_path / "out")
    file = tmp_path / "out" / "final.json"
    planned_for_cuda(file, precision="bf16", precision_reason="the device has bf16")
    here()
    assert all(seed.outcome == "complete" for network in two(data, tmp_path / "out").networks for seed in network.seeds)
    plan = json.loads(file.read_text())["plan"]
    assert (plan["device"], plan["precision"], plan["asked_device"]) == ("cpu", "fp32", "cpu")


def test_a_look_at_the_test_images_stands_in_the_run(tmp_path: Path, data: Dataset, here: Callable[..., Here]) -> None:
    def look(job: Job) -> None:
        if isinstance(job, UnseenJob):
            during.append(read_looks(run.folder)[-1]["networks"][0]["test_accuracy"])

    during: list[float | None] = []
    here(look)
    space = Space(Sequential(Conv(channels=choice(2, 4)), Classifier()))
    run = search(space, data, evaluator=lambda _: {"val_accuracy": 0.5}, evaluations=2, epochs=1, out=tmp_path / "run")
    seen: list[FinalEvent] = []
    for name in ("a", "b", "a"):
        trained = train_network(run, data, epochs=1, out=tmp_path / name, progress=seen.append, **HOW)
    looks = read_looks(run.folder)
    assert [look["folder"] for look in looks] == [str(tmp_path / "a"), str(tmp_path / "b")] and looks[0]["images"] == 18
    (entry,) = looks[0]["networks"]
    assert (entry["id"], entry["seed"], entry["epochs"]) == (run.best().id, 0, 1)
    assert entry["test_accuracy"] == trained.test_accuracy and during == [None, None], "written before it is taken, completed after"
    notes = [[note for note in event.notes if "chooses on the test" in note] for event in seen if isinstance(event, Chosen)]
    assert (
        [len(lines) for lines in notes] == [0, 1, 1]
        and "measured 1 time, on 20" in notes[1][0]
        and str(tmp_path / "a") in notes[1][0]
    )
    lock = Lock(run.folder)
    try:
        train_network(run, data, epochs=1, out=tmp_path / "c", progress=seen.append, **HOW)
    finally:
        lock.release()
    assert "this look could not be noted in" in str(next(event for event in reversed(seen) if isinstance(event, Looking)))
    assert len(read_looks(run.folder)) == 2
