"""Places boxes and arrows of an acyclic drawing in layers from top to bottom. Pure arithmetic; knows nothing of networks.

The four steps of Sugiyama, Tagawa and Toda 1981 ("Methods for Visual Understanding of Hierarchical System Structures"): layers
by longest path, way points where an arrow passes a layer, order within layers by barycentres, and then places: each
item as near as possible to the mean of its neighbours, in the least-squares sense, at the distances it must keep.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 8
_VAIN = 3
"""Sweeps that take no crossing away before the order is taken as it is."""
_PLACINGS = 60
_SETTLINGS = 30
_STILL = 0.02

Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Where everything stands; x grows to the right, y downwards, from 0.

    Attributes:
        boxes: Middle of the upper side of each box.
        layers: Layer of each box, from 0.
        routes: For each arrow its points from box to box. A way point comes as two points: where it enters and leaves its layer.
        width: Of the drawing.
        height: Of the drawing.
    """

    boxes: list[Point]
    layers: list[int]
    routes: list[list[Point]]
    width: float
    height: float


def layered(
    sizes: Sequence[Point], arrows: Sequence[tuple[int, int]], *, gap: float = 28.0, drop: float = 34.0, lane: float = 16.0
) -> Layout:
    """Returns a drawing with all arrows pointing down.

    Args:
        sizes: Width and height of each box; boxes stand in topological order.
        arrows: From a box to a later one; the same pair may stand more than once.
        gap: Between neighbouring boxes of a layer.
        drop: Between layers.
        lane: Between an arrow that passes a layer and what stands beside it.
    """
    layer = _layers(len(sizes), arrows)
    chains, owner = _way_points(layer, arrows)
    widths = [size[0] for size in sizes] + [0.0] * len(owner)
    level_of = [*layer, *(level for _, level in owner)]
    links = _links(arrows, layer, chains)
    rows = _ordered(level_of, links)
    x = _places(rows, links, widths, len(sizes), gap, lane)
    heights = [max((sizes[i][1] for i in row if i < len(sizes)), default=0.0) for row in rows]
    tops = [0.0]
    for height in heights:
        tops.append(tops[-1] + height + drop)
    routes = []
    for a, b in arrows:
        points = [(x[a], tops[layer[a]] + sizes[a][1])]
        for point in chains.get(a, [])[: layer[b] - layer[a] - 1]:
            points += [(x[point], tops[level_of[point]]), (x[point], tops[level_of[point]] + heights[level_of[point]])]
        routes.append([*points, (x[b], tops[layer[b]])])
    width = max((x[i] + widths[i] / 2 for i in range(len(x))), default=0.0)
    return Layout([(x[i], tops[layer[i]]) for i in range(len(sizes))], layer, routes, width, max(0.0, tops[-1] - drop))


def _layers(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    layer = [0] * count
    for a, b in sorted(arrows, key=lambda arrow: arrow[1]):
        layer[b] = max(layer[b], layer[a] + 1)
    return layer


def _way_points(layer: list[int], arrows: Sequence[tuple[int, int]]) -> tuple[dict[int, list[int]], list[tuple[int, int]]]:
    """Returns for each box its way points, one in each layer that an arrow of it passes, shared by all its arrows.

    Way points are numbered after the boxes; the second value has box and layer of each.
    """
    reach: dict[int, int] = {}
    for a, b in arrows:
        reach[a] = max(reach.get(a, 0), layer[b])
    chains: dict[int, list[int]] = {}
    owner: list[tuple[int, int]] = []
    for a, last in sorted(reach.items()):
        for level in range(layer[a] + 1, last):
            chains.setdefault(a, []).append(len(layer) + len(owner))
            owner.append((a, level))
    return chains, owner


def _links(arrows: Sequence[tuple[int, int]], layer: list[int], chains: dict[int, list[int]]) -> list[tuple[int, int]]:
    """Returns the arrows cut into pieces that lead from one layer to the next, each piece once."""
    links: dict[tuple[int, int], None] = {}
    for a, b in arrows:
        steps = [a, *chains.get(a, [])[: layer[b] - layer[a] - 1], b]
        links.update(dict.fromkeys(pairwise(steps)))
    return list(links)


def _ordered(level_of: list[int], links: list[tuple[int, int]]) -> list[list[int]]:
    """Returns the items of each layer from left to right, with few crossings."""
    rows: list[list[int]] = [[] for _ in range(max(level_of, default=-1) + 1)]
    for i, level in enumerate(level_of):
        rows[level].append(i)
    above, below = _neighbours(len(level_of), links)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    vain = 0
    for sweep in range(_SWEEPS):
        if not fewest or vain == _VAIN:
            break
        down = sweep % 2 == 0
        place = {i: k for row in rows for k, i in enumerate(row)}
        for row in rows if down else reversed(rows):
            near = {i: [place[j] for j in (above if down else below)[i]] for i in row}
            row.sort(key=lambda i: sum(near[i]) / len(near[i]) if near[i] else place[i])
            place.update({i: k for k, i in enumerate(row)})
        crossings = _crossings(rows, below)
        vain = 0 if crossings < fewest else vain + 1
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _neighbours(count: int, links: list[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for a, b in links:
        above[b].append(a)
        below[a].append(b)
    return above, below


def _crossings(rows: list[list[int]], below: list[list[int]]) -> int:
    """Counts the crossing pairs of links between neighbouring layers."""
    total = 0
    for row, following in pairwise(rows):
        place = {i: k for k, i in enumerate(following)}
        ends: list[int] = []
        for i in row:
            targets = sorted(place[j] for j in below[i])
            total += sum(len(ends) - bisect_left(ends, t + 1) for t in targets)
            for t in targets:
                insort(ends, t)
    return total


def _places(
    rows: list[list[int]], links: list[tuple[int, int]], widths: list[float], boxes: int, gap: float, lane: float
) -> list[float]:
    """Returns the middle of each item, the leftmost edge being 0; the items of a chain stand above each other.

    Projected descent: each chain goes half the way to the mean of what it is linked to, then every row is spread out again.
    """
    above, below = _neighbours(len(widths), links)
    chain = _chains(above, below)
    around: list[list[int]] = [[] for _ in chain]
    for i, head in enumerate(chain):
        around[head] += [chain[j] for j in (*above[i], *below[i]) if chain[j] != head]
    spreads = [(row, [chain[i] for i in row], _offsets(row, widths, boxes, gap, lane)) for row in rows]
    x = [0.0] * len(chain)
    for pulling, sweeps in ((True, _PLACINGS), (False, _SETTLINGS)):
        for sweep in range(sweeps):
            before = list(x)
            for head, near in enumerate(around):
                if near and pulling:
                    x[head] += (sum(x[other] for other in near) / len(near) - x[head]) / 2
            for _, heads, offsets in spreads if sweep % 2 == 0 else reversed(spreads):
                for head, place in zip(heads, _spread([x[head] for head in heads], offsets), strict=True):
                    x[head] = place
            if max(abs(a - b) for a, b in zip(x, before, strict=True)) < _STILL:
                break
    placed = [0.0] * len(chain)
    for row, heads, offsets in spreads:  # chains that cross cannot both be straight: then distance comes first
        for i, place in zip(row, _spread([x[head] for head in heads], offsets), strict=True):
            placed[i] = place
    leftmost = min(place - width / 2 for place, width in zip(placed, widths, strict=True))
    return [round(place - leftmost, 1) for place in placed]


def _offsets(row: list[int], widths: list[float], boxes: int, gap: float, lane: float) -> list[float]:
    """Returns how far to the right of the first item of a row each one stands at least."""
    offsets = [0.0]
    for left, right in pairwise(row):
        apart = gap if left < boxes and right < boxes else lane
        offsets.append(offsets[-1] + (widths[left] + widths[right]) / 2 + apart)
    return offsets


def _spread(places: list[float], offsets: list[float]) -> list[float]:
    """Returns the places nearest to `places` that keep their order and distances."""
    ascending = nearest_ascending([place - offset for place, offset in zip(places, offsets, strict=True)])
    return [place + offset for place, offset in zip(ascending, offsets, strict=True)]


def _chains(above: list[list[int]], below: list[list[int]]) -> list[int]:
    """Returns for each item the first one of the chain it stands in: items that are linked to each other alone."""
    head = list(range(len(above)))
    for start in range(len(above)):
        if len(above[start]) == 1 and len(below[above[start][0]]) == 1:
            continue
        i = start
        while len(below[i]) == 1 and len(above[below[i][0]]) == 1:
            i = below[i][0]
            head[i] = start
    return head


def nearest_ascending(values: Sequence[float]) -> list[float]:
    """Returns the ascending numbers nearest to `values` in the least-squares sense (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []  # mean and how many values it stands for
    for value in values:
        mean, count = value, 1
        while blocks and blocks[-1][0] > mean:
            before, n = blocks.pop()
            mean, count = (before * n + mean * count) / (n + count), n + count
        blocks.append((mean, count))
    return [mean for mean, count in blocks for _ in range(count)]
