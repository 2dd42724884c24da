"""Compiling generated source: the very text, with its lines in tracebacks, and clear words where it is none."""

from __future__ import annotations

import traceback

import pytest

from nas.errors import EvaluationError
from nas.module import compile_source, load_source

GOOD = """from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        if x is None:
            raise RuntimeError("no images")
        return self.linear(x)
"""


def test_a_module_is_made_anew_each_time() -> None:
    import torch

    torch.manual_seed(0)
    first, second = compile_source(GOOD), compile_source(GOOD)
    assert type(first).__name__ == "Network" and not torch.equal(first.linear.weight, second.linear.weight)
    torch.manual_seed(0)
    assert torch.equal(compile_source(GOOD).linear.weight, first.linear.weight)


def test_tracebacks_show_the_lines_of_the_text() -> None:
    module = compile_source(GOOD)
    with pytest.raises(RuntimeError) as caught:
        module(None)
    shown = "".join(traceback.format_exception(caught.value))
    assert 'raise RuntimeError("no images")' in shown and "<network " in shown and "line 11" in shown


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(:\n", "is no Python: .* in line 1"),
        ("x = 1\n", "defines no class Network"),
        ("Network = 3\n", "defines no class Network"),
        ("", "defines no class Network"),
        ("import nowhere_to_be_found\n", "fails: ModuleNotFoundError: No module named"),
        ("raise ValueError('a\\nb')\n", "fails: ValueError: a b"),
        ("\0", "is no Python|fails: .*null bytes"),
    ],
)
def test_text_that_is_no_network_is_refused_in_one_line(source: str, said: str) -> None:
    with pytest.raises(EvaluationError, match=said) as caught:
        load_source(source)
    assert "\n" not in str(caught.value)
