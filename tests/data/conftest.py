"""What the tests of data share: a cache of their own, small images, and a check that an error is one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keeps decoded data of a test in a folder of its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NAS_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def refuses() -> Callable[..., AbstractContextManager[None]]:
    """Expects one line that holds all of the given words."""

    @contextmanager
    def check(*words: str, error: type[NasError] = NasError) -> Iterator[None]:
        with pytest.raises(error) as caught:
            yield
        message = str(caught.value)
        assert "\n" not in message
        for word in words:
            assert word in message, message

    return check


@pytest.fixture
def make_photo() -> Callable[..., Path]:
    """Writes an image file of one colour with noise: every seed gives other pixels."""
    image_module = pytest.importorskip("PIL.Image")

    def make(path: Path, seed: int = 0, size: tuple[int, int] = (20, 20), mode: str = "RGB") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        image_module.fromarray(pixels).convert(mode).save(path)
        return path

    return make
