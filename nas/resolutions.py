"""Resolution as a fidelity: which size images have at each rung of a search, and which networks can be trained at another size.

A network is described and paid for at the size that the images have. At a lower rung they are made smaller on the device before
they enter it (`nas.train`), so that the same weights learn from fewer pixels, and go on from there with more of them (Tan and Le
2021, "EfficientNetV2", section 4, train with growing images in this way). That takes a network whose weights do not depend
on the size of the image: convolutions and global pooling, and no fully connected layer over pixels. Knows no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nas.errors import BlockError, GraphError, RunError
from nas.graph import Graph
from nas.ops import Input, Shape

LEAST = 4
"""Pixels that an image has at least along its shorter side."""


def checked_resolutions(resolutions: Sequence[int], rungs: Sequence[int], shape: Shape) -> tuple[int, ...]:
    """Returns the resolutions that a user asks for.

    Args:
        resolutions: Pixels along the longer side of an image, one a rung.
        rungs: As they were asked for, in epochs.
        shape: Of the images, `(channels, height, width)`.

    Raises:
        RunError: When they do not fit rungs or images.
    """
    given = tuple(resolutions) if isinstance(resolutions, list | tuple) else ()
    if not given or any(type(number) is not int for number in given) or any(a > b for a, b in pairwise(given)):
        raise RunError(f"resolutions is {resolutions!r}, expected pixels that do not become fewer, one a rung, such as 14,20,28")
    if len(given) != len(rungs) or len(rungs) < 2:
        raise RunError(
            f"resolutions {_listed(given)} do not fit epochs {_listed(rungs)}: give several rising epochs and a resolution for each"
        )
    longest = max(shape[1:])
    if given[-1] != longest:
        raise RunError(
            f"resolutions end with {given[-1]}, expected {longest}: at the highest rung images are as they are, "
            f"{shape[1]} x {shape[2]} pixels"
        )
    if min(sides_at(shape, given[0])) < LEAST:
        height, width = sides_at(shape, given[0])
        raise RunError(
            f"resolution {given[0]} leaves {height} x {width} pixels of an image, expected at least {LEAST} on each side"
        )
    return given


def fitting_resolutions(resolutions: Sequence[int], asked: Sequence[int], rungs: Sequence[int]) -> tuple[int, ...]:
    """Returns the resolutions of rungs that were raised: of those that coincide, the highest one.

    Args:
        resolutions: One for each rung that was asked for.
        asked: Rungs as they were asked for, in epochs.
        rungs: Rungs as they are.
    """
    return tuple(max(r for r, epochs in zip(resolutions, asked, strict=True) if epochs <= rung) for rung in rungs)


def sides_at(shape: Shape, resolution: int) -> tuple[int, int]:
    """Returns (height, width) of images `(channels, height, width)` whose longer side becomes `resolution` pixels long."""
    longest = max(shape[1:])
    height, width = ((2 * side * resolution + longest) // (2 * longest) for side in shape[1:])
    return max(1, height), max(1, width)


def at_resolution(graph: Graph, resolution: int) -> Graph:
    """Returns a network as it is for images of another size, with the same weights; its costs are those of that size.

    Args:
        graph: Simplified.
        resolution: Pixels along the longer side.

    Raises:
        BlockError: When it cannot be applied to them, or its weights depend on the size of the image.
    """
    sides = sides_at(graph.input_shape, resolution)
    pixels = f"images of {sides[0]} x {sides[1]} pixels"
    try:
        small = Graph([Input((graph.input_shape[0], *sides)), *graph.ops[1:]], graph.inputs, graph.labels, graph.output)
    except GraphError as error:
        raise BlockError(f"{error}, for {pixels}") from None
    for i, (mine, theirs) in enumerate(zip(graph.facts, small.facts, strict=True)):
        if mine.params != theirs.params:
            raise BlockError(
                f"{graph.labels[i] or 'a layer'} has {mine.params:,} weights, and {theirs.params:,} for {pixels}; "
                "pool globally before fully connected layers"
            )
    return small


def misfit(graph: Graph, resolutions: Sequence[int]) -> str:
    """Returns in words why a network cannot be trained at one of these resolutions; empty where it can at all of them."""
    for resolution in dict.fromkeys(resolutions):
        if resolution == max(graph.input_shape[1:]):
            continue
        try:
            at_resolution(graph, resolution)
        except BlockError as error:
            return str(error)
    return ""


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
