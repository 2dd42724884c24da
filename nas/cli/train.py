"""`nas train`."""

from __future__ import annotations


def train(): ...
