"""A search from Python, complete: copy this file and edit it.

    python scripts/search.py

It searches a space of your own on the embedded images (swap in your own below), prints the front, and writes a report, the source
of the pick and its weights. Started again it goes on where it was: nothing is trained twice. About five minutes on two cores.
"""

from __future__ import annotations

import nas
from nas import Recipe, Space, choice, integer
from nas.blocks import Classifier, Conv, OneOf, Pool, Repeat, Residual, SeparableConv, Sequential
from nas.events import Evaluated, Event, FrontMoved

# 1. What networks there are: an ordinary network in which some values are still open. Input shape and classes are left out, so
#    both come from the data. `nas show scripts/search.py` lists what is open, `nas profile scripts/search.py` what it holds.
space = Space(
    name="example",
    border="floor",  # a pooling may leave a row of pixels over (7 -> 3); the default refuses that
    body=Sequential(
        Conv(channels=choice(8, 16, 24), kernel=3, name="stem"),
        Repeat(
            Sequential(
                Repeat(
                    OneOf(
                        Conv(channels=choice(16, 32, 48), kernel=choice(3, 5)),
                        SeparableConv(channels=choice(16, 32, 64)),
                        Residual(channels=choice(16, 32, 48), bottleneck=choice(False, True)),
                    ),
                    times=integer(1, 2),
                ),
                Pool(kind=choice("max", "avg"), kernel=2, stride=2),
            ),
            times=integer(2, 3),
            name="stage",
        ),
        Classifier(dropout=choice(0.0, 0.2)),
    ),
)

# 2. The images: a name from `nas list data`, a folder with one folder a class, a .csv, an .npz, or arrays (x, y).
DATA = "fashion-mnist-12k"

# 3. How each candidate is trained. Any field may be open too: lr=real(0.02, 0.4, log=True).
RECIPE = Recipe(lr=0.1, batch_size=128, label_smoothing=0.1)


def said(event: Event) -> None:
    """Prints a line when a network ended and when the front moved; `nas.events` has all there is to hear of."""
    if isinstance(event, Evaluated | FrontMoved):
        print(event, flush=True)


def main() -> None:
    """Searches, and shows what to do with what was found."""
    run = nas.search(
        space,
        DATA,
        strategy="auto",  # or a name of `nas list strategies`, or an object of your own
        objectives=["val_accuracy", "params", "macs"],  # the first one is what "best" means
        constraints=["params<=50k"],  # candidates that break one cost nothing
        budget="4min",
        epochs=1,
        recipe=RECIPE,
        out="runs/example",
        progress=said,
    )

    # 4. The front, as a pandas DataFrame; trials() has every network that was evaluated.
    columns = ["id", "val_accuracy", "val_accuracy_low", "val_accuracy_high", "params", "macs"]
    print(run.front()[columns].to_string(index=False))

    # 5. The pick: the most accurate of at most 20,000 parameters, else the knee of the front.
    try:
        pick = run.best("params<=20k")
    except nas.NasError:
        pick = run.knee()
    print(f"{pick.id}: {nas.cost(pick.graph)}")
    print(pick.export("runs/example/net.py"))  # plain PyTorch, weights beside it: python runs/example/net.py photo.jpg

    # 6. Everything in one HTML file that opens offline.
    run.report()
    print(f"report: {run.folder / 'report.html'}")


if __name__ == "__main__":
    main()
