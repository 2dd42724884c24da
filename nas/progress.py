"""The live display of a search: a redrawn panel on a terminal, plain lines anywhere else. Reads events, changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.certainty import again_words, luck_words
from nas.events import BaselineEvaluated, Evaluated, Event, FrontMoved, FrontPoint, Screened, Started, TrainedAgain, TrainsAgain
from nas.hints import guessing, inheriting, next_commands
from nas.intervals import wilson
from nas.lines import counted, number, spell_seconds
from nas.run import Run, open_run
from nas.rungs import rung_words
from nas.screened import screening_words
from nas.tally import Tally
from nas.wording import settings_words

FRONT_ROWS = 15
"""Networks of the front that the live panel shows; a larger front is thinned evenly."""

QUIET_SECONDS = 0.5
"""Plain lines come no closer than this: quick evaluations are counted in the next line. The log file has them all."""


class LineConsole(Console):
    """Leaves a reader who went away to the command, which has an exit code for that; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Is called while a `BrokenPipeError` is handled."""
        raise


class Progress:
    """Shows a search while it runs; hand it to `nas.search(progress=...)` inside `with progress.shown():`.

    Args:
        console: Where to; None: standard output.
        clock: Seconds, for tests.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or LineConsole()
        self.tally = Tally()
        self._clock = clock
        self._offset = clock()
        self._live: Live | None = None
        self._objectives: tuple[str, ...] = ()
        self._is_laddered = False
        self._images = 0
        self._line_at = -QUIET_SECONDS
        self._skipped = 0
        self._held: Evaluated | None = None

    @contextmanager
    def shown(self) -> Iterator[Progress]:
        """Shows the panel on a terminal as long as the context is open."""
        try:
            yield self
        finally:
            self._stop()
            self._last_line()

    def __call__(self, event: Event) -> None:
        self.tally.take(event)
        if isinstance(event, BaselineEvaluated):
            self._offset = self._clock() - event.elapsed
        if isinstance(event, Started):
            self._begin(event)
        elif self._live is None:
            self._plain(event)

    @property
    def elapsed(self) -> float:
        """Seconds spent now, over all starts."""
        return self._clock() - self._offset

    def _begin(self, event: Started) -> None:
        self._offset = self._clock() - event.seconds
        run = open_run(event.folder)
        self._objectives = tuple(objective.name for objective in run.objectives)
        self._images, self._is_laddered = run.validation_images, len(run.rungs) > 1
        self._print(f"{event}\n{settings_words(run.settings, run.starts()[-1]['options'])}\n")
        if self.console.is_terminal:
            self._live = Live(console=self.console, get_renderable=self._panel, refresh_per_second=2, transient=True)
            self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    # ---- no terminal

    def _plain(self, event: Event) -> None:
        if isinstance(event, FrontMoved):
            if not self._skipped:
                after = f" after {counted(event.epochs, 'epoch')}" if event.epochs else ""
                self._print(f"         front of {len(event.front)}{after}: {', '.join(map(self._range, self._objectives))}")
        elif isinstance(event, BaselineEvaluated):
            self._print(f"{datetime.now():%H:%M:%S} baseline {event.name}: {self._said(event)}")
        elif isinstance(event, Screened):
            if event.off:
                self._print(f"{datetime.now():%H:%M:%S} {event}")
        elif isinstance(event, TrainsAgain):
            self._last_line()
            self._print(f"{datetime.now():%H:%M:%S} {event}")
        elif isinstance(event, TrainedAgain):
            self._print(f"{datetime.now():%H:%M:%S} again {event.done} of {event.planned}, {event.what}: {self._said(event)}")
        elif isinstance(event, Evaluated):
            now = self._clock()
            if now - self._line_at < QUIET_SECONDS:
                self._skipped += 1
                self._held = event
                return
            self._line_at = now
            self._evaluation_line(event, self._skipped)

    def _last_line(self) -> None:
        """Prints the last evaluation where it came too soon after another for a line of its own."""
        if self._held is not None:
            self._evaluation_line(self._held, self._skipped - 1)

    def _evaluation_line(self, event: Evaluated, before: int) -> None:
        self._skipped, self._held = 0, None
        also = f" (and {before} before)" if before else ""
        after = f" after {counted(event.epochs, 'epoch')}" if self._is_laddered and event.outcome.measured else ""
        said = f"{self._said(event)}{after}, {spell_seconds(event.seconds)}"
        promise = [self.tally.promise] if self.tally.promise else []
        self._print(f"{datetime.now():%H:%M:%S} {self._counted()}{also}: {said}; {', '.join([*self._times(), *promise])}")

    def _range(self, name: str) -> str:
        """Returns what the front spans in one objective."""
        values = [point.values[name] for point in self.tally.front]
        low, high = number(min(values)), number(max(values))
        return f"{name} {low}" if low == high else f"{name} {low} to {high}"

    def _counted(self) -> str:
        limit = self.tally.budget.evaluations if self.tally.budget else None
        return f"{self.tally.evaluations}{f' of {limit}' if limit else ''}"

    def _said(self, event: Evaluated | BaselineEvaluated | TrainedAgain) -> str:
        if not event.outcome.measured:
            return f"{event.fingerprint[:7]} {event.outcome}: {event.error}".rstrip(": ")
        values = ", ".join(f"{name} {self._value(name, event.values)}" for name in self._objectives)
        return f"{event.fingerprint[:7]} {values}"

    def _times(self) -> list[str]:
        elapsed = self.elapsed
        left = self.tally.remaining(elapsed)
        ends = [] if left is None else [f"ends about {datetime.now() + timedelta(seconds=left):%H:%M}"]
        return [f"{self.tally.per_minute(elapsed):.1f} a minute", *ends]

    # ---- a terminal

    def _panel(self) -> RenderableType:
        tally, elapsed = self.tally, self.elapsed
        lines = [f"{self._counted()} evaluated in {spell_seconds(elapsed)}, {', '.join(self._times())}", tally.counts()]
        lines += [line for line in (tally.again, tally.promise, tally.unscreened) if line]
        lines += [f"baseline {event.name}: {self._said(event)}" for event in tally.baselines]
        if tally.first_error:
            lines.append(f"first failure: {tally.first_error}")
        if self._is_laddered:
            after = ", ".join(f"{count} after {counted(epochs, 'epoch')}" for epochs, count in sorted(tally.measured.items()))
            lines.append(f"measured in this start: {after or 'nothing yet'}")
        after = f" after {counted(tally.front_epochs, 'epoch')}" if tally.front_epochs else ""
        since = f"front of {len(tally.front)}{after}, last moved {(elapsed - tally.moved) / 60:.0f} min ago"
        lines.append(since if tally.front else "no network measured so far")
        return Group(Text("\n".join(lines), overflow="ellipsis", no_wrap=True), self._front())

    def _front(self) -> Table:
        room = max(3, min(FRONT_ROWS, self.console.height - 10))
        return front_table(self._objectives, self._rows(_thinned(self.tally.front, room)))

    def _rows(self, points: Sequence[FrontPoint]) -> list[list[str]]:
        return [[p.fingerprint[:7], *(self._value(name, p.values) for name in self._objectives)] for p in points]

    def _value(self, name: str, values: Any) -> str:
        value = float(values[name])
        if name != "val_accuracy" or not self._images:
            return number(value)
        low, high = wilson(value, self._images)
        return f"{value:.4f} [{low:.4f}, {high:.4f}]"


def front_table(objectives: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Returns the front as a table for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id")
    for name in objectives:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def closing_words(run: Run, tally: Tally, *, stopped: bool = False) -> str:
    """Returns what is said at the end: what came out, what to try where that is nothing, and the commands a user wants next.

    Args:
        run: The run.
        tally: What its last start told.
        stopped: Whether a signal ended it, so that there is more to do.
    """
    spent = f"{counted(tally.evaluations, 'network')} evaluated in {spell_seconds(tally.elapsed)}{_overrun(tally)}"
    lines = [f"ended: {tally.reason}", f"{spent}; in this start {tally.counts()}"]
    lines += [f"first failure: {tally.first_error}"] if tally.first_error else []
    if tally.budget and tally.budget.seconds is not None and not tally.proposed and tally.elapsed >= tally.budget.seconds:
        lines.append("nothing was trained in this start: the time was over before that could begin; give a longer --budget")
    lines += [
        *rung_words(run),
        *filter(None, [again_words(run), luck_words(run), screening_words(run), inheriting(run), guessing(run)]),
    ]
    return "\n".join([*lines, "", next_commands(run, is_stopped=stopped)])


def _overrun(tally: Tally) -> str:
    """Returns by how much the time was overrun, where that is more than a tenth."""
    limit = tally.budget.seconds if tally.budget else None
    if limit is None or tally.overrun <= limit / 10 or tally.evaluations == tally.before:
        return ""
    return f", {spell_seconds(tally.overrun)} over the budget of {spell_seconds(limit)}: what was being trained was finished"


def _thinned(front: Sequence[FrontPoint], most: int) -> list[FrontPoint]:
    if len(front) <= most:
        return list(front)
    return [front[round(i * (len(front) - 1) / (most - 1))] for i in range(most)]
