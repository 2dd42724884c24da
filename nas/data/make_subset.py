"""Makes the embedded subset of Fashion-MNIST: `python -m nas.data.make_subset FOLDER OUT.xz`.

Of each class, 1,000 of the 6,000 training images and 200 of the 1,000 test images are drawn without replacement by
`numpy.random.default_rng(0)`, class after class, training first; they stay in their published order. The content is two `.npy`
after one another (images `(12000, 28, 28)`, labels `(12000,)`, both uint8, training first), compressed with xz.
"""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

import numpy as np

from nas.data.fashion import CLASS_NAMES, FILES, read_files
from nas.errors import NasError

SEED = 0
EACH = {"train": 1_000, "test": 200}


def subset(folder: Path) -> bytes:
    """Returns the subset, uncompressed, from a folder that holds the four published files (`.gz`)."""
    parts, rng = read_files({name: folder / f"{name}.gz" for name in FILES}), np.random.default_rng(SEED)
    images, labels = [], []
    for split, many in EACH.items():
        part = parts[split]
        own = [rng.choice(np.flatnonzero(part.y == label), many, replace=False) for label in range(len(CLASS_NAMES))]
        picked = np.sort(np.concatenate(own))
        images.append(part.x[picked])
        labels.append(part.y[picked])
    stream = io.BytesIO()
    np.save(stream, np.concatenate(images), allow_pickle=False)
    np.save(stream, np.concatenate(labels), allow_pickle=False)
    return stream.getvalue()


def main(arguments: list[str]) -> int:
    """Writes the asset and prints its size and the SHA-256 of its content."""
    import lzma

    if len(arguments) != 2:
        print("usage: python -m nas.data.make_subset FOLDER OUT.xz", file=sys.stderr)
        return 2
    try:
        data = subset(Path(arguments[0]))
    except NasError as error:
        print(error, file=sys.stderr)
        return 2
    packed = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
    Path(arguments[1]).write_bytes(packed)
    print(f"{len(packed):,} bytes, content SHA-256 {hashlib.sha256(data).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
