"""What was settled, in words: images, epochs, device and recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from nas.final.picks import Pick
from nas.final.state import Plan, Wish
from nas.final.timing import MOST_EPOCHS, SPARE
from nas.lines import spell_seconds
from nas.recipe import changed_fields


def epochs_words(plan: Plan, wish: Wish) -> str:
    """Returns in words how the number of epochs came about."""
    epochs = wish.epochs
    if wish.seconds is None:
        return "asked for" if epochs else "the default; --epochs or --budget change it"
    share = f"{spell_seconds(wish.seconds)} with {SPARE:.0%} to spare"
    if plan.epochs == (epochs or MOST_EPOCHS):
        return f"{'asked for' if epochs else 'the most there are'}; they fit into {share}"
    return f"as many as fit into {share}" + (f", fewer than the {epochs} asked for" if epochs else "")


def where_words(picks: Sequence[Pick], plan: Plan) -> str:
    """Returns in words where everything is trained, in what precision, and by which recipe."""
    recipes = [plan.recipe(pick.key) for pick in picks]
    first = ", ".join(f"{name} {value}" for name, value in asdict(recipes[0]).items())
    if any(pick.strengthened for pick in picks):
        changed = changed_fields(picks[0].recipe, recipes[0])
        first += f" (for long training: {', '.join(changed) or 'nothing changed'})"
    more = "" if all(recipe == recipes[0] for recipe in recipes) else f"; recipe of {picks[0].name}, each network has its own"
    return f"device {plan.device}, {plan.precision} ({plan.precision_reason}); recipe {first}{more}"
