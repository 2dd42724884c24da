"""What PyTorch itself says of a network: its module on the meta device, where the largest takes no memory."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from nas.graph import Graph
from nas.module import compile_source
from nas.source import write_source


def module_figures(graph: Graph, images: int = 1) -> tuple[tuple[int, ...], int, int]:
    """Returns the shape of a compiled module's output, its trainable values, and the FLOPs that PyTorch counts.

    Args:
        graph: Simplified.
        images: How many it is applied to.
    """
    with torch.device("meta"):
        module = compile_source(write_source(graph)).eval()
        with FlopCounterMode(display=False) as counter:
            outputs = module(torch.empty(images, *graph.input_shape))
    return tuple(outputs.shape), sum(p.numel() for p in module.parameters()), counter.get_total_flops()
