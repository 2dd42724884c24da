"""Counting genotypes exactly, decisions that places share counted once."""

from __future__ import annotations


class Counted:
    """A number of genotypes, split by the set of shared names they use, so that shared decisions are counted once.

    Attributes:
        terms: Set of shared names -> number of genotypes without the shared decisions; None is a continuum.
    """

    def __init__(self, terms: dict[frozenset[str], int | None]) -> None:
        self.terms = terms

    def times(self, other: Counted) -> Counted:
        """Returns the count of independent pairs."""
        product: dict[frozenset[str], int | None] = {}
        for a, n in self.terms.items():
            for b, m in other.terms.items():
                _accumulate(product, a | b, None if n is None or m is None else n * m)
        return Counted(product)

    def plus(self, other: Counted) -> Counted:
        """Returns the count of alternatives."""
        total = dict(self.terms)
        for names, n in other.terms.items():
            _accumulate(total, names, n)
        return Counted(total)


def _accumulate(terms: dict[frozenset[str], int | None], key: frozenset[str], n: int | None) -> None:
    old = terms.get(key, 0)
    terms[key] = None if n is None or old is None else old + n
