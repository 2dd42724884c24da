"""Networks near the front are trained again: which, how often, within which budget, and what readers see of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.blocks import Classifier, Conv, Sequential
from nas.budget import Budget
from nas.certainty import again_words, luck_words
from nas.cli import main
from nas.coordinator import search_loop
from nas.data import Dataset, load_data
from nas.domains import choice
from nas.errors import NasError
from nas.evaluators.base import Evaluator, Request
from nas.events import Ended, Event, TrainedAgain, TrainsAgain
from nas.loop import search
from nas.measurement import Measurement, Outcome
from nas.problem import Problem
from nas.progress import Progress, closing_words
from nas.record import Record
from nas.report.content import gather
from nas.retraining import FOLD, SHARE, Wanted
from nas.run import open_run
from nas.space import Space
from nas.strategies.evolution import RegularizedEvolution

SPACE = Space(
    Sequential(Conv(channels=choice(*range(1, 40)), kernel=choice(1, 3)), Classifier()), input_shape=(1, 8, 8), classes=2, name="s"
)
IMAGES = 400


class Trainer(Evaluator):
    """Accuracy rises with the size, and each seed (or each data set) moves it; killed after so many results."""

    def __init__(self, slots: int = 1, kill: int = 0, outcome: Callable[[Request], Outcome] = lambda request: Outcome.COMPLETE):
        self._slots, self.left, self._outcome = slots, kill, outcome
        self.waiting: list[tuple[int, Request]] = []
        self.asked: list[Request] = []

    @property
    def slots(self) -> int:
        return self._slots

    def submit(self, ticket: int, request: Request) -> None:
        self.waiting.append((ticket, request))
        self.asked.append(request)

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        ticket, request = self.waiting.pop(0)
        self.left -= 1
        if self.left == 0:
            raise Killed
        return [
            (ticket, Measurement(self._outcome(request), {"val_accuracy": self.accuracy(request)}, epochs=request.end, seconds=1.0))
        ]

    def accuracy(self, request: Request) -> float:
        size = int(request.fingerprint[:6], 16) % 1000 / 1000
        noise = np.random.default_rng([int(request.fingerprint[:8], 16), request.seed, request.end]).normal(0, 0.01)
        return float(np.clip(0.7 + 0.2 * size + noise, 0, 1))

    def describe(self) -> dict[str, Any]:
        return {}


class Killed(BaseException):
    """Ends the process as SIGKILL does: nothing is written any more."""


def go(folder: Path, trainer: Trainer | None = None, *, again: Wanted | None = None, **options: Any) -> list[Event]:
    events: list[Event] = []
    options = {"budget": Budget(evaluations=15), "epochs": 3, "seed": 5, "data": "d", "on_event": events.append, **options}
    record = Record(folder, SETTINGS)
    try:
        problem = Problem(SPACE, ["val_accuracy", "params"])
        search_loop(problem, RegularizedEvolution(population=5), trainer or Trainer(), record, again=again, **options)
    except Killed:
        record.abandon()
    else:
        record.close()
    return events


SETTINGS = {
    "objectives": [
        {"name": "val_accuracy", "direction": "maximize", "unit": "share", "exact": False, "about": ""},
        {"name": "params", "direction": "minimize", "unit": "values", "exact": True, "about": ""},
    ],
    "epochs": 3,
    "evaluator": "training",
    "data": {"validation_images": IMAGES},
    "seed": 5,
}
THREE = Wanted(seeds=3, images=IMAGES)


def rows(folder: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """Proposals, segments of the search and trainings of networks that were trained again, without times."""
    with Record(folder, SETTINGS) as record:
        proposals, own, _ = record.rows()
        again = record.again()
    timeless = [[replace(row, ended=0.0) for row in part] for part in (own, again)]
    return [replace(row, created=0.0) for row in proposals], timeless[0], timeless[1]


def test_what_no_round_would_fit_into_is_not_kept(tmp_path: Path) -> None:
    events = go(tmp_path, again=THREE, budget=Budget(epochs_total=20))
    (told,) = [event for event in events if isinstance(event, TrainsAgain)]
    _, own, again = rows(tmp_path)
    assert 3 * told.networks > SHARE * 20 and len(own) == 6 and not again
    assert told.why_not == f"the epochs left suffice for 0 of 2 rounds of {told.networks}"


def test_the_search_is_the_same_with_and_without(tmp_path: Path) -> None:
    go(tmp_path / "plain")
    events = go(tmp_path / "again", again=THREE)
    plain, again = rows(tmp_path / "plain"), rows(tmp_path / "again")
    assert plain[:2] == again[:2] and not plain[2]
    near = {row.proposal for row in again[2]}
    assert sorted((row.proposal, row.seed) for row in again[2]) == sorted((number, seed) for number in near for seed in (6, 7))
    assert all((row.from_epoch, row.to_epoch, row.data) == (0, 3, "d") for row in again[2])
    assert [row.seed for row in again[2]] == sorted(row.seed for row in again[2]), "round by round"
    told = [event for event in events if isinstance(event, TrainedAgain)]
    assert [event.done for event in told] == list(range(1, 2 * len(near) + 1)) and told[-1].planned == 2 * len(near)
    assert [str(event) for event in events if isinstance(event, TrainsAgain)] == [
        f"training again {len(near)} networks near the front with 2 other seeds: {2 * len(near)} trainings now"
    ]


@pytest.mark.parametrize("slots", [1, 3])
def test_killed_again_and_again_it_trains_nothing_twice(tmp_path: Path, slots: int) -> None:
    go(tmp_path / "whole", Trainer(slots), again=THREE)
    starts = 0
    while True:
        starts += 1
        trainer = Trainer(slots, kill=3)
        go(tmp_path / "killed", trainer, again=THREE)
        if trainer.left > 0:
            break
    assert starts > 8
    whole, killed = rows(tmp_path / "whole"), rows(tmp_path / "killed")
    keys = [(row.proposal, row.seed) for row in killed[2]]
    assert len(keys) == len(set(keys))
    if slots == 1:
        assert killed == whole
    go(tmp_path / "killed", trainer := Trainer(), again=THREE)
    assert not trainer.asked and rows(tmp_path / "killed") == killed


def test_epochs_are_counted_and_the_budget_holds(tmp_path: Path) -> None:
    for total in (40, 61, 90):
        events = go(tmp_path / str(total), again=THREE, budget=Budget(epochs_total=total))
        _, own, again = rows(tmp_path / str(total))
        assert sum(row.to_epoch for row in [*own, *again]) <= total
        assert sum(row.to_epoch for row in own) >= (1 - SHARE) * total - 3
        (told,) = [event for event in events if isinstance(event, TrainsAgain)]
        assert told.trainings == len(again)
        if told.why_not:
            assert "the epochs left suffice for" in told.why_not
        with Record(tmp_path / str(total), SETTINGS) as record:
            assert record.spent()[:2] == (len(own), sum(row.to_epoch for row in [*own, *again]))
    go(tmp_path / "90", again=THREE, budget=Budget(epochs_total=120))
    assert sum(row.to_epoch for part in rows(tmp_path / "90")[1:] for row in part) <= 120


def test_time_is_kept_and_a_round_that_does_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("nas.record.time.monotonic", lambda: now[0])

    class Slow(Trainer):
        def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
            now[0] += 1.0
            return super().collect(timeout)

    events = go(tmp_path, Slow(), again=Wanted(seeds=9, images=IMAGES), budget=Budget(seconds=60.0))
    _, own, again = rows(tmp_path)
    (told,) = [event for event in events if isinstance(event, TrainsAgain)]
    assert 45 <= len(own) <= 60 - told.networks and told.why_not.startswith("the time left suffices for")
    assert len(again) == told.trainings and len(own) + len(again) <= 60 and len(again) % told.networks == 0 < len(again)


def small(**options: Any) -> Any:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (90, 8, 8), dtype=np.uint8), np.arange(90) % 3
    images[labels == 1] //= 2
    images[labels == 2, :4] = 0
    space = Space(Sequential(Conv(channels=choice(2, 4, 8)), Classifier()), name="tiny")
    return search(space, data=(images, labels), evaluations=3, epochs=1, workers=1, **options)


@pytest.mark.slow
def test_real_networks_on_folds_and_then_with_other_seeds(tmp_path: Path) -> None:
    run = small(out=tmp_path / "run", data_options={"cache_dir": tmp_path / "cache"}, folds=3)
    again = run.trained_again()
    assert again is not None and again.rounds == 3 and again.plan.kind == "folds" and sum(again.plan.images) == 72
    assert set(run.front()["trainings"]) == {3} and not (tmp_path / "run" / FOLD).exists()
    assert len({row.data for row in again.ended}) == 3 and all(row.measurement.outcome.measured for row in again.ended)
    noise = run.noise()
    assert noise is not None and noise.images == 72
    run = small(out=tmp_path / "run", data_options={"cache_dir": tmp_path / "cache"}, train_seeds=2)
    again = run.trained_again()
    assert again is not None and again.plan.kind == "seeds" and again.trainings == 2
    assert {(row.seed, row.data) for row in again.ended} == {(1, run.rows()[1][0].data)}
    assert luck_words(run) and "means of 2 seeds" in again_words(run)


@pytest.mark.parametrize("slots", [1, 4])
def test_a_fold_stays_as_long_as_it_is_trained_on(tmp_path: Path, slots: int) -> None:
    rng = np.random.default_rng(0)
    dataset = load_data((rng.integers(0, 256, (90, 8, 8), dtype=np.uint8), np.arange(90) % 2), cache_dir=tmp_path / "cache")
    most, seen = 0, set()

    class Looking(Trainer):
        def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
            nonlocal most
            for _, request in self.waiting:
                if request.data is not None:
                    view = Dataset.open(request.data)
                    assert view.size("train") + view.size("val") == 72
                    seen.add(view.digest[:16])
            most = max(most, len(list((tmp_path / "run" / FOLD).glob("*"))))
            return super().collect(timeout)

    go(tmp_path / "run", Looking(slots), again=Wanted(folds=6, dataset=dataset), budget=Budget(evaluations=2))
    again = rows(tmp_path / "run")[2]
    assert {row.data for row in again} == seen and len(seen) == 6
    assert len({(row.proposal, row.data) for row in again}) == len(again) >= 6
    assert most <= slots + 1 and not (tmp_path / "run" / FOLD).exists()


def test_what_a_user_asks_for_is_checked(tmp_path: Path) -> None:
    def asked(**options: Any) -> str:
        with pytest.raises(NasError) as error:
            search(**{"space": SPACE, "evaluator": Trainer(), "evaluations": 3, "out": tmp_path / "run", **options})
        assert not (tmp_path / "run").exists() and "\n" not in str(error.value)
        return str(error.value)

    assert "give one of them" in asked(train_seeds=3, folds=5)
    assert "train_seeds is 0, expected a whole number of at least 1" in asked(train_seeds=0)
    assert "folds is 1, expected a whole number of at least 2" in asked(folds=1)
    assert "trains nothing that could be trained again so; leave --folds (folds) out" in asked(folds=3)
    assert "leave --train-seeds (train_seeds) out" in asked(train_seeds=3, evaluator=lambda net: {"val_accuracy": 0.5})
    assert "weights of others cannot be trained again alike" in asked(train_seeds=3, inherit=True)
    assert "weights of others cannot be trained again alike" in asked(train_seeds=3, strategy="prune")
    images, labels = np.zeros((12, 4, 4), dtype=np.uint8), np.arange(12) % 2
    few = {
        "data": (images, labels),
        "data_options": {"cache_dir": tmp_path / "cache"},
        "space": Space(SPACE.body),
        "evaluator": None,
    }
    assert "too few for 9 folds" in asked(folds=9, **few)


def test_it_may_be_asked_for_later(tmp_path: Path) -> None:
    options: dict[str, Any] = {"evaluator": Trainer(), "evaluations": 6, "epochs": 2, "out": tmp_path / "run"}
    plain = search(SPACE, **options).front()
    run = search(SPACE, train_seeds=2, **options)
    assert set(run.front()["trainings"]) == {2} and "trainings" not in plain
    run = search(SPACE, train_seeds=4, **options)
    assert set(run.front()["trainings"]) == {4}
    again = run.trained_again()
    assert again is not None
    keys = [(row.proposal, row.seed) for row in again.ended]
    assert len(set(keys)) == len(keys)


def test_networks_that_began_with_weights_of_others_are_not(tmp_path: Path) -> None:
    class Heirs(RegularizedEvolution):
        def propose(self, problem: Any, history: Any, rng: Any) -> Any:
            made = super().propose(problem, history, rng)
            first = next((trial.id for trial in history.measured()), None)
            return replace(made, inherit_from=first)

    run = search(SPACE, strategy=Heirs(population=5), evaluator=Trainer(), evaluations=8, train_seeds=2, out=tmp_path / "run")
    assert "trainings" not in run.front() and run.trained_again() is None
    assert "began with the weights of others" in (tmp_path / "run" / "run.log").read_text()


def test_it_stops_when_asked_to_and_goes_on(tmp_path: Path) -> None:
    asked: list[Request] = []

    class Counting(Trainer):
        def submit(self, ticket: int, request: Request) -> None:
            super().submit(ticket, request)
            asked.append(request)

    events = go(tmp_path / "run", Counting(), again=THREE, stopped=lambda: "stopped by hand" if len(asked) > 17 else "")
    (ended,) = [event for event in events if isinstance(event, Ended)]
    assert ended.reason == "stopped by hand" and len(rows(tmp_path / "run")[2]) == 3, "what ended meanwhile is kept"
    go(tmp_path / "run", again=THREE)
    go(tmp_path / "whole", again=THREE)
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")


def test_what_brought_the_process_down_counts_as_crashed(tmp_path: Path) -> None:
    go(tmp_path, Trainer(kill=17), again=THREE)
    with Record(tmp_path, SETTINGS) as record:
        suspects = record.again_in_flight()
    assert len(suspects) == 1
    go(tmp_path, again=THREE, faulted=True)
    crashed = [row for row in rows(tmp_path)[2] if row.measurement.outcome is Outcome.CRASHED]
    assert {(row.proposal, row.seed, row.data) for row in crashed} == suspects


def test_weights_near_the_front_are_kept(tmp_path: Path) -> None:
    class Writing(Trainer):
        def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
            request = self.waiting[0][1]
            ((ticket, found),) = super().collect(timeout)
            if request.checkpoint is None:
                return [(ticket, found)]
            request.checkpoint.parent.mkdir(exist_ok=True)
            request.checkpoint.write_bytes(b"weights")
            return [(ticket, replace(found, checkpoint=str(request.checkpoint)))]

    go(tmp_path, Writing(), again=THREE)
    near = {row.proposal for row in rows(tmp_path)[2]}
    own = {row.proposal: row for row in rows(tmp_path)[1]}
    kept = {number for number, row in own.items() if (tmp_path / row.measurement.checkpoint).is_file()}
    assert near <= kept and len(kept) < len(own)


def test_of_several_rungs_the_top_is_trained_again(tmp_path: Path) -> None:
    def climbing(folder: Path, trainer: Trainer) -> list[Event]:
        return go(folder, trainer, again=THREE, epochs=(1, 3), budget=Budget(evaluations=18))

    climbing(tmp_path / "whole", whole := Trainer())
    again = [request for request in whole.asked if request.seed != 5]
    assert {(request.first_epoch, request.end, request.cycles, request.resume_from) for request in again} == {(0, 3, (1,), None)}
    while (trainer := Trainer(kill=4)) and climbing(tmp_path / "killed", trainer) and trainer.left <= 0:
        pass
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    top = {row.proposal for row in rows(tmp_path / "whole")[1] if row.to_epoch == 3}
    assert {row.proposal for row in rows(tmp_path / "whole")[2]} <= top


def test_trainings_of_fewer_epochs_count_no_more_once_the_search_has_got_further(tmp_path: Path) -> None:
    def climbing(evaluations: int) -> None:
        go(tmp_path, again=THREE, epochs=(1, 3), budget=Budget(evaluations=evaluations))

    climbing(2)  # too few for the second rung
    before = rows(tmp_path)[2]
    assert before and {row.to_epoch for row in before} == {1}
    climbing(18)
    found = open_run(tmp_path).trained_again()
    assert found is not None and found.trainings == 3 and found.plan.epochs == 3
    assert {row.to_epoch for row in found.ended} == {3} and len(found.ended) == found.planned


def test_nothing_is_reserved_for_what_will_be_refused(tmp_path: Path) -> None:
    class Heirs(RegularizedEvolution):
        def propose(self, problem: Problem, history: Any, rng: Any) -> Any:
            made = super().propose(problem, history, rng)
            return replace(made, inherit_from=next((trial.id for trial in history.measured()), None))

    run = search(SPACE, strategy=Heirs(population=5), evaluator=Trainer(), epochs_total=60, train_seeds=2, out=tmp_path / "run")
    assert sum(row.to_epoch for row in run.rows()[1]) == 60 and run.trained_again() is None


def test_it_is_told_in_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.shown():
        run = search(SPACE, evaluator=Trainer(), evaluations=6, train_seeds=2, out=tmp_path / "run", progress=progress)
    said = capsys.readouterr().out
    again = run.trained_again()
    assert again is not None
    assert f"again 1 of {again.planned}, seed 1: " in said and f"again {again.planned} of {again.planned}, seed 1: " in said
    assert "networks near the front with 1 other seed" in said
    assert progress.tally.again == f"training again: {again.planned} of {again.planned} done"
    words = closing_words(run, progress.tally)
    assert f"trained again: {len(again.plan.proposals)} networks near the front; their figures are means of 2 seeds" in words
    assert run.starts()[-1]["options"]["arguments"]["train_seeds"] == 2
    assert "trained again  near the front, with 2 seeds in all" in " ".join(said.split("\n")).replace("   ", "  ")


def test_show_and_report_know_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = search(SPACE, evaluator=Trainer(), evaluations=6, train_seeds=3, out=tmp_path / "run")
    best = run.best()
    assert main(["show", f"{run.folder}@best"]) == 0
    said = capsys.readouterr().out
    assert "trained again\n" in said and "by the search" in said and "seed 2" in said and "mean of 3 seeds" in said
    assert main(["show", f"{run.folder}@best", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["trainings"]
    mean = run.trials().set_index("id")["val_accuracy"][best.id]
    assert [row["training"] for row in told] == ["by the search", "seed 1", "seed 2", "mean of 3 seeds"]
    assert told[-1]["val_accuracy"] == pytest.approx(mean) == pytest.approx(np.mean([row["val_accuracy"] for row in told[:-1]]))
    content = gather(run)
    assert "Trained again: " in content.summary and "trainings" in [column.name for column in content.shown]
    assert content.front[0].id == best.id
