"""Tests of how messages travel."""

from __future__ import annotations

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.executors.base import CheckJob, Done, EpochEnded, Hello, Message, ScoreJob, TrainJob, Unpacker, encode, read_message
from nas.measurement import Outcome

MESSAGES: list[Message] = [
    Hello("2.13.0", True),
    TrainJob(
        source="class Network: ...\n# \u00e9 \x00",
        recipe={"lr": 0.1, "flip": None},
        task={"name": "classification", "metrics": ["accuracy"]},
        data="/data",
        epochs=3,
        first_epoch=0,
        last_epoch=1,
        seed=7,
        device="cpu",
        precision="fp32",
        deadline=1.5,
    ),
    CheckJob(task={}, data="d", device="auto", precision="auto"),
    ScoreJob(source="class Network: ...", data="d", seed=1, deadline=2.0),
    EpochEnded({"epoch": 1, "val_accuracy": 0.1 + 0.2}),
    Done(Outcome.TIMED_OUT, error="not done after 3 s, killed"),
]


@given(st.lists(st.sampled_from(MESSAGES), max_size=8), st.lists(st.integers(1, 200), min_size=1, max_size=50))
def test_messages_arrive_whole_however_they_are_cut(messages: list[Message], cuts: list[int]) -> None:
    data = b"".join(map(encode, messages))
    unpacker = Unpacker()
    found: list[Message] = []
    while data:
        size = cuts[len(data) % len(cuts)]
        found += unpacker.feed(data[:size])
        data = data[size:]
    assert found == messages


def test_reading_waits_for_whole_messages_and_ends_with_the_stream() -> None:
    stream = io.BytesIO(b"".join(map(encode, MESSAGES)) + encode(MESSAGES[1])[:-1])
    assert [read_message(stream) for _ in MESSAGES] == MESSAGES
    assert read_message(stream) is None


def test_an_unknown_field_is_refused() -> None:
    body = msgspec.json.encode({"type": "check", "task": {}, "data": "", "device": "", "precision": "", "typo": 1})
    with pytest.raises(msgspec.ValidationError, match="typo"):
        list(Unpacker().feed(len(body).to_bytes(4, "big") + body))
