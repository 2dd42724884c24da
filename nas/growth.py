"""What a network takes over from another one, so that it computes the same where it differs by growth. Knows no tensors.

Chen, Goodfellow and Shlens 2016, "Net2Net: Accelerating Learning via Knowledge Transfer". The function is preserved exactly (in
evaluation mode, up to rounding) where the child differs from its parent by nothing but

* **wider layers**: their channels are doubled, with all that batch normalisation knows of them, and the weights of whoever reads
  them are divided among the copies (section 2.2), through sums, concatenations, depthwise convolutions, attention, flattening;
* **larger kernels** with as much more padding: zeros around the old ones;
* **more layers** that can begin as the identity (section 2.3): convolutions of stride 1 that keep the image's size and have no
  fewer channels, linear layers, batch normalisation; an activation behind them only where it changes nothing: ReLU of what is not
  negative, ReLU6 of what lies between 0 and 6;
* **more residual blocks, and more terms of a sum**: their last normalisation or convolution begins at zero, unless a ReLU follows,
  through which zero learns nothing; the shortcut passes on, a projected one as the identity;
* **more parts of a concatenation**: whoever reads them begins with weights of zero for them;
* another share of dropout.

It is not preserved with other operations (a pooling, an activation, a stride, a residual block for a convolution), with attention
or an Inception module put in, smaller kernels, grouped convolutions and local response normalisation whose width changes, and
layers put in before an activation such as SiLU: then what has a model takes its weights, and all else keeps its fresh values.
Fewer channels preserve it where those dropped are zero in the parent, which is a matter of values and not said here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nas.alignment import matched
from nas.channels import NEW, Floats, Ints, Origins, is_depthwise, makes_channels
from nas.graph import Graph
from nas.identities import Silence, changes_nothing, keeps_the_image, sees_the_same, signs
from nas.ops import (
    Activation,
    AdaptivePool2d,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Crop,
    Dropout,
    Flatten,
    Input,
    Multiply,
    Pad,
    Pool2d,
    Resize2d,
    Subsample,
)

_BY_CHANNEL = (Activation, AdaptivePool2d, Crop, Pool2d, Resize2d, Subsample)
"""Operations on one input, without weights, that do the same to each channel, whatever the others are."""


@dataclass(frozen=True)
class Taken:
    """What one node of a network takes from a node of another one.

    Attributes:
        child, parent: The nodes.
        rows: For each output channel of the child's node the place of that channel in the parent's, or `NEW`; None: whatever has
            the same shape is taken as it is.
        columns: Likewise for the channels of the input of a convolution or a linear layer; None for other operations. Weights of
            a place that stands several times are divided among its copies.
        whole: Whether every place of the parent's input is there: then weights for other channels of the input are zero.
    """

    child: int
    parent: int
    rows: Ints | None = None
    columns: Ints | None = None
    whole: bool = False


@dataclass(frozen=True)
class Passing:
    """A convolution, a linear layer or a normalisation without a model that begins as the identity.

    Attributes:
        rows: For each output channel which one it passes on, `NEW` for none.
        columns: Likewise for the input; those that are the same share in it.
    """

    rows: Ints
    columns: Ints


@dataclass(frozen=True)
class Beginning:
    """How a network begins.

    Attributes:
        taken: What it takes over, node by node.
        passing: Nodes that begin as the identity.
        silent: Nodes whose weights and offsets begin at zero.
        is_exact: Whether it computes just what the parent does, in evaluation mode.
    """

    taken: Sequence[Taken]
    passing: Mapping[int, Passing]
    silent: frozenset[int]
    is_exact: bool


def beginning(
    child: Graph, parent: Graph, aligned: Mapping[str, str] | None = None, scores: Mapping[int, Floats] | None = None
) -> Beginning:
    """Returns what a network takes over from another one; see the head of this module.

    Args:
        child: Simplified.
        parent: Simplified.
        aligned: Path of a block of the child to its path in the parent, where the two differ.
        scores: Importance of each output channel, `(channels,)`, by node of the parent; without any the first channels count most.
    """
    pairs = matched(child, parent, aligned)
    return _Roles(child, parent, pairs, Origins(child, parent, pairs, scores)).beginning()


@dataclass(frozen=True)
class _Role:
    """What a value of the child stands for.

    Attributes:
        node: The parent's node whose value it is; behind a dropout the one before.
        places: For each channel its place there, `NEW` for one that has none.
        is_exact: Whether the values are the same, not only where they stand.
        passing, silent: Nodes without a model that have to begin as the identity, or at zero, for that.
    """

    node: int
    places: Ints
    is_exact: bool
    passing: frozenset[int] = frozenset()
    silent: frozenset[int] = frozenset()

    @property
    def given(self) -> int:
        """How many nodes without a model it takes."""
        return len(self.passing) + len(self.silent)


@dataclass
class _Roles:
    """Goes through the child from its image to its output, and says of each value what it stands for."""

    child: Graph
    parent: Graph
    pairs: Mapping[int, int]
    origins: Origins
    roles: list[_Role | None] = field(init=False, default_factory=list)
    taken: list[Taken] = field(init=False, default_factory=list)
    could_pass: dict[int, Passing] = field(init=False, default_factory=dict)
    passing: set[int] = field(init=False, default_factory=set)
    silent: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.signs, self.silence = signs(self.parent), Silence(self.child, self.pairs)
        depth: list[int] = []
        for i, sources in enumerate(self.child.inputs):
            depth.append(0 if i in self.pairs or not sources else 1 + min(depth[s] for s in sources))
        for i in sorted(range(len(depth)), key=lambda i: (depth[i], i)):
            if depth[i] and makes_channels(self.child.ops[i]) and keeps_the_image(self.child, i):
                self.origins.follow(i, self.origins.of(self.child.inputs[i][0]))

    def beginning(self) -> Beginning:
        for i in range(len(self.child)):
            model = self.pairs.get(i)
            self.roles.append(self._new(i) if model is None else self._modelled(i, model))
        output = self.roles[self.child.output]
        if output is not None:
            self._settle(output)
        is_exact = output is not None and output.is_exact and output.node == self._plain(self.parent.output)
        is_exact = is_exact and _in_place(output, self.parent)
        passing = {i: self.could_pass[i] for i in sorted(self.passing)}
        return Beginning(self.taken, passing, frozenset(self.silent), is_exact)

    def _plain(self, node: int) -> int:
        """Returns the parent's node that gives a value, dropout looked through."""
        while isinstance(self.parent.ops[node], Dropout):
            node = self.parent.inputs[node][0]
        return node

    def _settle(self, *roles: _Role) -> None:
        """Takes values for what they stand for: what they need for that is done."""
        for role in roles:
            self.passing |= role.passing
            self.silent |= role.silent

    # values with a model

    def _modelled(self, i: int, model: int) -> _Role | None:
        op, ref = self.child.ops[i], self.parent.ops[model]
        if isinstance(op, Dropout):
            return self.roles[self.child.inputs[i][0]]
        if isinstance(op, Input):
            return _Role(model, np.arange(op.size[0]), op == ref)
        if isinstance(op, Add | Multiply):
            return self._joined(i, model)
        if isinstance(op, Concat):
            return self._side_by_side(i, model)
        before = self._before(i, model)
        if makes_channels(op) and makes_channels(ref):
            return self._layer(i, model, before)
        role = self._alone(i, model, before)
        if self.parent.facts[model].params:
            by_channel = isinstance(op, BatchNorm) or (is_depthwise(op) and is_depthwise(ref))
            rows = np.arange(self.child.facts[i].shape[0]) if self._same_groups(i, model) else None
            self.taken.append(Taken(i, model, role.places if by_channel else rows))
        return role

    def _same_groups(self, i: int, model: int) -> bool:
        """Returns whether two grouped convolutions differ by their windows at most."""
        op, ref = self.child.ops[i], self.parent.ops[model]
        if not (isinstance(op, Conv2d) and isinstance(ref, Conv2d) and (op.groups, op.channels) == (ref.groups, ref.channels)):
            return False
        above = self.child.facts[self.child.inputs[i][0]], self.parent.facts[self.parent.inputs[model][0]]
        return above[0].shape[0] == above[1].shape[0]

    def _before(self, i: int, model: int) -> _Role | None:
        """Returns what the input of a node stands for, if that is the input of its model."""
        role = self.roles[self.child.inputs[i][0]]
        if role is None or role.node != self._plain(self.parent.inputs[model][0]):
            return None
        self._settle(role)
        return role

    def _by_class(self, i: int, model: int) -> Ints:
        return self.origins.places(self.origins.of(i), self.origins.theirs[model])

    def _layer(self, i: int, model: int, before: _Role | None) -> _Role:
        """A convolution or a linear layer that reads all channels."""
        source, above = self.child.inputs[i][0], self.parent.inputs[model][0]
        columns = self._by_class(source, above) if before is None else before.places
        whole = before is not None and set(range(len(self.origins.theirs[above]))) <= set(columns.tolist())
        rows = self.origins.rows(i, model)
        self.taken.append(Taken(i, model, rows, columns, whole))
        fits = before is not None and before.is_exact and whole and sees_the_same(self.child, i, self.parent, model)
        return _Role(model, rows, fits)

    def _alone(self, i: int, model: int, before: _Role | None) -> _Role:
        """An operation on one input that keeps its channels, or one that is only known as a whole."""
        op, ref, shape = self.child.ops[i], self.parent.ops[model], self.child.facts[i].shape
        if before is None:
            return _Role(model, self._by_class(i, model), False)
        places, fits = before.places, before.is_exact and shape[1:] == self.parent.facts[model].shape[1:]
        if is_depthwise(op) and is_depthwise(ref) and len(places) == shape[0]:
            return _Role(model, places, fits and sees_the_same(self.child, i, self.parent, model))
        if isinstance(op, BatchNorm) or (isinstance(op, _BY_CHANNEL) and op == ref):
            return _Role(model, places, fits)
        if isinstance(op, Flatten):
            inner = self.child.facts[self.child.inputs[i][0]].shape[1:]
            fits = before.is_exact and inner == self.parent.facts[self.parent.inputs[model][0]].shape[1:]
            pixels = int(np.prod(inner))
            spread = np.where(places[:, None] == NEW, NEW, places[:, None] * pixels + np.arange(pixels)).reshape(-1)
            return _Role(model, spread if fits else self._by_class(i, model), fits)
        if isinstance(op, Pad) and isinstance(ref, Pad):
            return _Role(model, *self._padded(i, model, before, fits))
        if self._same_groups(i, model):
            fits = fits and sees_the_same(self.child, i, self.parent, model)
        else:
            fits = fits and op == ref and len(self.child.inputs[i]) == 1
        return _Role(model, self._by_class(i, model), fits and _in_place(before, self.parent))

    def _padded(self, i: int, model: int, before: _Role, fits: bool) -> tuple[Ints, bool]:
        """Returns places behind padding; a new channel of zeros may stand for any other one."""
        op, ref = self.child.ops[i], self.parent.ops[model]
        assert isinstance(op, Pad) and isinstance(ref, Pad)
        first = self.parent.facts[model].shape[0] - ref.channels
        added = self._by_class(i, model)[len(before.places) :]
        fits = fits and (op.pixels, op.mode) == (ref.pixels, ref.mode)
        return np.concatenate([before.places, np.where(added < first, NEW, added)]), fits

    def _joined(self, i: int, model: int) -> _Role:
        """A sum or a product: each term of the model's is there once, and further terms of a sum begin at zero."""
        wanted = [self._plain(s) for s in self.parent.inputs[model]]
        terms = [(self.roles[s], s) for s in self.child.inputs[i]]
        found: list[_Role] = []
        others: list[int] = []
        for role, s in sorted(terms, key=lambda term: term[0].given if term[0] else 0):
            if role is not None and role.node in wanted and (not found or np.array_equal(role.places, found[0].places)):
                wanted.remove(role.node)
                found.append(role)
            else:
                others.append(s)
        self._settle(*found)
        zeros = self.silence.of(i, others) if isinstance(self.child.ops[i], Add) else None if others else frozenset()
        complete = not wanted and zeros is not None
        if complete and zeros:
            self.silent |= zeros
        return _Role(
            model,
            found[0].places if found else self._by_class(i, model),
            complete and all(role.is_exact for role in found) and type(self.parent.ops[model]) is type(self.child.ops[i]),
        )

    def _side_by_side(self, i: int, model: int) -> _Role:
        """A concatenation: the model's parts in their order; channels of further parts stand for nothing."""
        parts = [(self._plain(s), len(self.origins.theirs[s])) for s in self.parent.inputs[model]]
        places: list[Ints] = []
        found, start, is_exact = 0, 0, True
        for s in self.child.inputs[i]:
            role = self.roles[s]
            if role is not None and found < len(parts) and role.node == parts[found][0]:
                self._settle(role)
                places.append(np.where(role.places == NEW, NEW, role.places + start))
                start += parts[found][1]
                found, is_exact = found + 1, is_exact and role.is_exact
            else:
                places.append(np.full(self.child.facts[s].shape[0], NEW, dtype=np.int64))
        if found < len(parts):
            return _Role(model, self._by_class(i, model), False)
        return _Role(model, np.concatenate(places), is_exact)

    # values without a model

    def _new(self, i: int) -> _Role | None:
        op, sources = self.child.ops[i], self.child.inputs[i]
        before = self.roles[sources[0]] if sources else None
        if isinstance(op, Add):
            return self._new_sum(i)
        if isinstance(op, Concat):
            return self._new_parts(i)
        if before is None or len(sources) > 1:
            return None
        if isinstance(op, Dropout) or (isinstance(op, Activation) and changes_nothing(op, self.signs[before.node])):
            return before
        rows = before.places
        if makes_channels(op) and keeps_the_image(self.child, i):
            rows = self.origins.places(self.origins.of(i), self.origins.theirs[before.node])
            if set(rows.tolist()) - {NEW} != set(before.places.tolist()) - {NEW}:
                return None
        elif not (isinstance(op, BatchNorm) or (is_depthwise(op) and keeps_the_image(self.child, i))):
            return None
        self.could_pass[i] = Passing(rows, before.places)
        return _Role(before.node, rows, before.is_exact, before.passing | {i}, before.silent)

    def _new_sum(self, i: int) -> _Role | None:
        """A sum that passes on the term that takes least for it, when all others can begin at zero."""
        terms = [(role, s) for s in self.child.inputs[i] if (role := self.roles[s]) is not None]
        for role, kept in sorted(terms, key=lambda term: term[0].given):
            others = list(self.child.inputs[i])
            others.remove(kept)
            zeros = self.silence.of(i, others)
            if zeros is not None:
                return _Role(role.node, role.places, role.is_exact, role.passing, role.silent | zeros)
        return None

    def _new_parts(self, i: int) -> _Role | None:
        """A concatenation that the parent does without: the part that lies farthest in it goes on, others stand for nothing."""
        sources = self.child.inputs[i]
        known = [(role.node, k) for k, s in enumerate(sources) if (role := self.roles[s]) is not None and not role.given]
        if not known:
            return None
        at = max(known)[1]
        role = self.roles[sources[at]]
        assert role is not None
        parts = [np.full(self.child.facts[s].shape[0], NEW, dtype=np.int64) for s in sources]
        parts[at] = role.places
        return _Role(role.node, np.concatenate(parts), role.is_exact)


def _in_place(role: _Role | None, parent: Graph) -> bool:
    """Returns whether the channels of a value are those of the parent's, one by one."""
    return role is not None and np.array_equal(role.places, np.arange(parent.facts[role.node].shape[0]))
