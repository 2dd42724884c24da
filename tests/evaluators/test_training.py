"""Requests become jobs of worker processes, what comes back becomes measurements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.data import load_data
from nas.domains import choice
from nas.errors import EvaluationError, RecipeError, UnknownNameError
from nas.evaluators.base import Request
from nas.evaluators.function import CallableEvaluator
from nas.evaluators.training import SCORE_SECONDS, TrainingEvaluator
from nas.executors.base import CheckJob, Done, Executor, Job, Result, ScoreJob, TrainJob
from nas.measurement import Measurement, Outcome
from nas.recipe import Recipe, Task

FACTS = {"device": "cpu", "precision": "bf16", "precision_reason": "trial", "torch": "2.13.0"}


def request(architecture: Any = "net", **fields: Any) -> Request:
    return replace(Request("abc", architecture, lambda: "class Network: ...", Recipe(), seed=3, epochs=4), **fields)


class Recording(Executor):
    """Answers the check with `FACTS` and every other job with what `answer` makes of it."""

    def __init__(self, answer: Callable[[Any], Done], check: Done | None = None) -> None:
        self.slots = 2
        self.jobs: list[Job] = []
        self.closed = 0
        self._answer, self._check = answer, check or Done(Outcome.COMPLETE, facts=FACTS)
        self._results: list[Result] = []

    def submit(self, ticket: int, job: Job) -> None:
        self.jobs.append(job)
        done = self._check if isinstance(job, CheckJob) else self._answer(job)
        self._results.append(Result(ticket, done, ({"epoch": 1},)))

    def collect(self, timeout: float | None) -> list[Result]:
        found, self._results = self._results, []
        return found

    def close(self) -> None:
        self.closed += 1


@dataclass
class Folder:
    """As much of a data set as a coordinator needs."""

    folder: Path

    def size(self, split: str) -> int:
        return 1_000


def training(executor: Executor, **fields: Any) -> TrainingEvaluator:
    return TrainingEvaluator(Folder(Path("/decoded")), executor=executor, **fields)  # type: ignore[arg-type]


def test_a_request_becomes_a_job_of_plain_values() -> None:
    executor = Recording(lambda job: Done(Outcome.COMPLETE))
    with training(executor, task=Task(metrics=("accuracy", "own.py:f")), deadline=9.0) as evaluator:
        evaluator.submit(
            5,
            request(
                first_epoch=1,
                last_epoch=3,
                cycles=(1, 3),
                resolutions=(14, 20, 28),
                resume_from=Path("a.safetensors"),
                checkpoint=Path("b.safetensors"),
            ),
        )
    check, job = executor.jobs
    assert isinstance(check, CheckJob)
    assert job == TrainJob(
        source="class Network: ...",
        recipe=asdict(Recipe()),
        task={"name": "classification", "metrics": ["accuracy", f"{Path('own.py').absolute()}:f"]},
        data=str(Path("/decoded")),
        epochs=4,
        first_epoch=1,
        last_epoch=3,
        cycles=(1, 3),
        resolutions=(14, 20, 28),
        seed=3,
        device="cpu",
        precision="bf16",
        resume_from=str(Path("a.safetensors").absolute()),
        checkpoint=str(Path("b.safetensors").absolute()),
        deadline=9.0,
    )
    assert executor.closed == 1


def test_what_comes_back_becomes_a_measurement() -> None:
    answers = {
        0: Done(Outcome.COMPLETE, {"val_accuracy": 0.5}, 4, 1.5),
        1: Done(Outcome.CRASHED, seconds=0.5, error="ValueError: no"),
    }
    evaluator = training(Recording(lambda job: answers[job.seed]))
    for seed in answers:
        evaluator.submit(10 + seed, request(seed=seed, checkpoint=Path("w")))
    curve = ({"epoch": 1},)
    assert evaluator.collect(None) == [
        (10, Measurement(Outcome.COMPLETE, {"val_accuracy": 0.5}, curve, 4, 1.5, checkpoint="w")),
        (11, Measurement(Outcome.CRASHED, {}, curve, 1, 0.5, "ValueError: no")),
    ]
    assert evaluator.collect(0.0) == []


def test_scores_are_answered_in_order_and_trainings_that_end_meanwhile_are_kept() -> None:
    scores = {"a": {"synflow": 1.0}, "b": {}, "c": {"synflow": 3.0, "naswot": 2.0}}

    def answer(job: Job) -> Done:
        return Done(Outcome.COMPLETE, scores[job.source] if isinstance(job, ScoreJob) else {"val_accuracy": 0.5})

    executor = Recording(answer)
    evaluator = training(executor)
    evaluator.submit(0, request())
    assert evaluator.score([request(source=lambda name=name: name) for name in scores]) == list(scores.values())
    assert executor.jobs[2] == ScoreJob(source="a", data=str(Path("/decoded")), seed=3, deadline=SCORE_SECONDS)
    assert [ticket for ticket, _ in evaluator.collect(None)] == [0]
    assert evaluator.collect(0.0) == []


def test_scores_that_are_given_up_are_not_taken_for_trainings() -> None:
    executor = Recording(lambda job: Done(Outcome.COMPLETE, {"naswot": 1.0}))
    evaluator = training(executor)
    assert evaluator.score([request(), request()], lambda: True) == [{}, {}]
    evaluator.submit(0, request())
    assert [ticket for ticket, _ in evaluator.collect(None)] == [0]
    evaluator.score([request()], lambda: True)
    assert evaluator.score([request()]) == [{"naswot": 1.0}]


def test_whoever_waits_for_a_training_is_not_woken_by_scores_that_were_given_up() -> None:
    class Slow(Recording):
        def collect(self, timeout: float | None) -> list[Result]:
            self._results.sort(key=lambda result: result.ticket)
            return [self._results.pop(0)] if self._results else []

    executor = Slow(lambda job: Done(Outcome.COMPLETE, {"naswot": 1.0}))
    evaluator = training(executor)
    evaluator.describe()
    evaluator.score([request(), request()], lambda: True)
    evaluator.submit(0, request())
    assert [ticket for ticket, _ in evaluator.collect(None)] == [0]


def test_an_evaluator_that_stays_open_never_gives_back_what_was_let_go() -> None:
    executor = Recording(lambda job: Done(Outcome.COMPLETE, {"val_accuracy": job.seed / 10}))
    evaluator = training(executor)
    evaluator.submit(7, request(seed=1))
    evaluator.forget()  # the search was stopped; the next one proposes the same again, under the same number
    evaluator.submit(7, request(seed=2))
    ((ticket, measured),) = evaluator.collect(None)
    assert (ticket, measured.metrics) == (7, {"val_accuracy": 0.2})
    assert evaluator.collect(0.0) == []


def test_not_every_evaluator_can_score() -> None:
    with pytest.raises(EvaluationError, match="CallableEvaluator scores no networks that are not trained"):
        CallableEvaluator(lambda architecture: {}).score([request()])


def test_it_says_where_it_ran() -> None:
    evaluator = training(Recording(lambda job: Done(Outcome.COMPLETE)))
    assert evaluator.describe() == {"evaluator": "training", **FACTS, "workers": 2, "threads": 1}
    assert evaluator.slots == 2


def test_nothing_is_trained_when_the_check_fails() -> None:
    executor = Recording(lambda job: Done(Outcome.COMPLETE), check=Done(Outcome.CRASHED, error="device 'cuda' is not there"))
    evaluator = training(executor, device="cuda")
    with pytest.raises(EvaluationError, match=r"^device 'cuda' is not there$"):
        evaluator.submit(0, request())
    assert [type(job) for job in executor.jobs] == [CheckJob]
    assert executor.closed == 1


def test_bad_settings_start_no_process() -> None:
    executor = Recording(lambda job: Done(Outcome.COMPLETE))
    for fields, error, words in (
        ({"device": "gpu"}, UnknownNameError, "unknown device 'gpu'"),
        ({"precision": "fp16"}, UnknownNameError, r"did you mean '(fp32|bf16)'"),
        ({"workers": 0}, EvaluationError, "workers is 0, expected at least 1"),
        ({"deadline": 0.0}, EvaluationError, "deadline is 0.0 s, expected a number above 0"),
    ):
        with pytest.raises(error, match=words):
            training(executor, **fields)
    assert executor.jobs == []
    with pytest.raises(RecipeError, match="open in lr"):
        training(executor).submit(0, request(recipe=Recipe(lr=choice(0.1, 0.2))))


def test_scoring_that_crashes_or_hangs_gives_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker process, which outlives both: some seconds."""
    rng = np.random.default_rng(0)
    splits = {name: (rng.integers(0, 256, (12, 1, 4, 4), dtype=np.uint8), np.arange(12) % 2) for name in ("train", "val", "test")}
    dataset = load_data(splits, cache_dir=tmp_path)
    plain = "from torch import nn\nclass Network(nn.Sequential):\n    def __init__(self):\n        super().__init__({})\n"
    source = plain.format("nn.Flatten(), nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 2)")
    crashing = plain.format("__import__('os').abort()")
    hanging = plain.format("__import__('time').sleep(1000)")
    with TrainingEvaluator(dataset, workers=1, device="cpu") as evaluator:
        found = evaluator.score([request(source=lambda text=text: text) for text in (source, crashing, source)])
        monkeypatch.setattr("nas.evaluators.training.SCORE_SECONDS", 0.5)
        hung = evaluator.score([request(source=lambda: hanging)])
        monkeypatch.undo()
        again = evaluator.score([request(source=lambda: source)])
    assert found == [again[0], {}, again[0]]
    assert set(again[0]) == {"synflow", "naswot", "jacob_cov"}
    assert hung == [{}]


def test_real_workers_train_a_real_network(tmp_path: Path) -> None:
    """Starts two worker processes: some seconds."""
    rng = np.random.default_rng(0)
    splits = {name: (rng.integers(0, 256, (12, 1, 4, 4), dtype=np.uint8), np.arange(12) % 2) for name in ("train", "val", "test")}
    dataset = load_data(splits, cache_dir=tmp_path)
    source = (
        "from torch import nn\nclass Network(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(16, 2))\n"
    )
    with TrainingEvaluator(dataset, workers=2, device="cpu") as evaluator:
        for ticket in range(3):
            evaluator.submit(ticket, request(source=lambda: source, checkpoint=tmp_path / f"{ticket}.safetensors"))
        found: dict[int, Measurement] = {}
        while len(found) < 3:
            found.update(evaluator.collect(None))
        facts = evaluator.describe()
    assert facts["device"] == "cpu"
    assert facts["precision"] in ("fp32", "bf16")
    assert facts["workers"] == 2
    for ticket, measured in found.items():
        assert measured.outcome is Outcome.COMPLETE, measured.error
        assert len(measured.curve) == measured.epochs == 4
        assert (tmp_path / f"{ticket}.safetensors").is_file()
    assert found[0].metrics["val_loss"] == found[1].metrics["val_loss"]


def test_other_images_than_its_own() -> None:
    executor = Recording(lambda job: Done(Outcome.COMPLETE))
    with training(executor) as evaluator:
        evaluator.submit(0, request(data=Path("elsewhere")))
    job = executor.jobs[-1]
    assert isinstance(job, TrainJob) and Path(job.data) == Path("elsewhere").absolute()


def test_a_network_that_breaks_the_trial_of_precisions_is_no_reason_to_stop() -> None:
    """It may crash its process; training will tell of it."""

    class Breaking(Recording):
        def submit(self, ticket: int, job: Job) -> None:
            if isinstance(job, CheckJob):
                broken = Done(Outcome.CRASHED, error="SIGSEGV")
                self._check = broken if job.networks else Done(Outcome.COMPLETE, facts=FACTS)
            super().submit(ticket, job)

    executor = Breaking(lambda job: Done(Outcome.COMPLETE))
    with training(executor, kind=["class Network: ..."]) as evaluator:
        assert evaluator.describe()["precision"] == "bf16"
    assert [job.networks for job in executor.jobs if isinstance(job, CheckJob)] == [["class Network: ..."], []]


@pytest.mark.parametrize(
    ("memory", "image", "precision", "slices"),
    [
        ("1000000", 10_000, "bf16", 1),  # 64 images of 5 kB, in 0.4 MB for each of two slots
        ("1000000", 10_000, "fp32", 2),
        ("1000000", 40_000, "fp32", 7),
        ("1000000", 10_000_000, "fp32", 15),  # batch normalisation needs some images: 62 of 1,000 make a batch
        ("", 10_000_000, "fp32", 1),
        ("1000000", 0, "fp32", 1),
    ],
)
def test_batches_that_will_not_fit_are_gone_through_in_parts(memory: str, image: int, precision: str, slices: int) -> None:
    check = Done(Outcome.COMPLETE, facts={**FACTS, "precision": precision, "memory": memory})
    executor = Recording(lambda job: Done(Outcome.COMPLETE), check)
    with training(executor) as evaluator:
        evaluator.submit(0, request(memory=image))
    (job,) = [job for job in executor.jobs if isinstance(job, TrainJob)]
    assert job.slices == slices
