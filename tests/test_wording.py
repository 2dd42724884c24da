"""The settings of a run in words, and spaces in rows."""

from __future__ import annotations

import json

from nas import Recipe, Space, choice, load_space, real
from nas.blocks import Classifier, Conv, Sequential
from nas.notation import space_to_json
from nas.overview import open_values, space_facts, space_json
from nas.wording import settings_words

SPACE = Space(Sequential(Conv(channels=choice(8, 16)), Classifier()), recipe=Recipe(lr=real(0.01, 0.5, log=True)), name="mine")


def words(arguments: dict[str, object] | None = None, **changes: object) -> dict[str, str]:
    settings = {
        "space": {"name": "mine", "digest": "abcdef0123", "definition": json.loads(space_to_json(SPACE))},
        "data": None,
        "strategy": {"name": "random", "options": {}},
        "objectives": [{"name": "params", "direction": "minimize"}],
        "constraints": [],
        "task": {"metrics": ["accuracy"]},
        "epochs": 1,
        "seed": 3,
        "evaluator": "training",
    }
    options = {
        "budget": {"evaluations": 2000, "epochs_total": None, "seconds": 1800.0, "extra": ["seconds"]},
        "workers": None,
        "device": "auto",
        "arguments": {"deadline": 3600.0, **(arguments or {})},
        "evaluator": {
            "device": "cpu",
            "precision": "bf16",
            "workers": 2,
            "evaluator": "training",
            "precision_reason": "trial: bf16 9, fp32 8 images/s",
        },
    }
    options |= {"raised_from": changes.pop("raised_from")} if "raised_from" in changes else {}
    text = settings_words({**settings, **changes}, options)
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in text.splitlines()}


def test_every_setting_is_said_with_its_default() -> None:
    said = words()
    assert said["budget"] == "2,000 evaluations, 30 min more (whichever comes first)"
    assert said["training"] == "1 epoch a network; metrics accuracy"
    assert said["recipe"].startswith(f'batch_size {Recipe().batch_size}, lr {{"real": [0.01, 0.5], "log": true}}, warmup ')
    assert (said["device"], said["precision"]) == ("cpu", "bf16 (trial: bf16 9, fp32 8 images/s)")
    assert (said["workers"], said["seed"], said["deadline"], said["constraints"]) == ("2", "3", "60 min an evaluation", "none")


def test_trainings_of_next_to_no_steps_are_told_of() -> None:
    shape = {"input_shape": [3, 8, 8], "class_names": ["a", "b"], "digest": "d" * 64, "name": "few", "validation_images": 29}
    few, many = ({**shape, "training_images": count} for count in (115, 8000))
    assert words(data=few, epochs=3)["epochs"] == (
        "6 steps of the optimiser are next to nothing: --epochs 50 makes 100 of these few images, more are better"
    )
    assert "epochs" not in words(data=few, epochs=50) and "epochs" not in words(data=many, epochs=1)
    raised = words(data=few, epochs=[50, 60], raised_from=[20, 60])["rungs"]
    assert (
        raised
        == "raised from 20,60 epochs: fewer than 100 steps of the optimiser teach too little, an epoch of these images is 2 steps"
    )


def test_too_few_networks_for_the_top_rung_are_told_of() -> None:
    assert "rungs" not in words(epochs=[1, 3, 9]) | words(epochs=3)
    assert words(epochs=[1, 1999, 9999])["rungs"] == (
        "2,000 networks are too few for one of them to go on to 9999 epochs; 11994 would do"
    )


def test_networks_that_were_given_are_named() -> None:
    assert not {"start", "baselines"} & words().keys()
    assert words(start_from={"vgg-a": {}, "r@best": {}})["start"].split(maxsplit=1)[1] == "vgg-a, r@best"
    assert words(arguments={"baselines": ["lenet-5", "vgg-a"]})["baselines"] == "lenet-5, vgg-a"


def test_an_evaluator_of_ones_own_needs_no_recipe() -> None:
    said = words(evaluator="toy.f")
    assert said["evaluator"] == "toy.f"
    assert not {"recipe", "training", "device", "deadline"} & said.keys()


def test_a_space_in_rows() -> None:
    facts = dict(space_facts(SPACE))
    assert facts["input"] == facts["classes"] == "taken from the data"
    assert facts["genotypes"] == "without end (a real number is open)"
    assert space_json(SPACE)["genotypes"] is None
    assert set(space_json(SPACE)["decisions"]) == {"conv.channels", "recipe.lr"}


def test_repetitions_stand_once() -> None:
    space = load_space("fashion_small")
    rows = open_values(space)
    assert len(rows) == 11 < len(space.decisions())
    assert "stage[*].repeat[*].conv.kernel" in rows
