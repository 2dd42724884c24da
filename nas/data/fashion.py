"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747): the embedded subset, and the full set from files or its home."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.data.arrays import Part, arrays_content
from nas.data.content import Content, ImageOptions, Source, shown
from nas.errors import DataError
from nas.files import replacing

CLASS_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
HOME = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""

FILES = {
    "train-images-idx3-ubyte": (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte": (
        "25c81989df183df01b3e8a0aad5dffbe",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte": (
        "bef4ecab320f06d8554ea6380940ec79",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte": (
        "bb300cfdad3c16e7a12a480ee83cd310",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
"""File to the published MD5 of the `.gz`, and the SHA-256 of what is in it (which packagers' own compression leaves alone)."""

ASSET = Path(__file__).parent / "assets" / "fashion-mnist-12k.xz"
ASSET_SHA256 = "117580d85cfb93b344f11f9ce79fdaafc3030d965fc69beb4c4d526bde9289ff"
"""Of the asset's uncompressed content, which `nas.data.make_subset` prints."""


def subset_source(options: ImageOptions) -> Source:
    """Returns the embedded subset as a source: 10,000 training and 2,000 test images, as many of each class."""

    def read() -> Content:
        try:
            import lzma
        except ImportError:
            raise DataError("this Python lacks lzma, which the embedded data need; use another build, or fashion-mnist") from None
        try:
            data = lzma.decompress(ASSET.read_bytes())
        except (OSError, lzma.LZMAError) as error:
            raise DataError(f"cannot read the embedded data {ASSET} ({error}); install the package again") from None
        if hashlib.sha256(data).hexdigest() != ASSET_SHA256:
            raise DataError(f"the embedded data {ASSET} are not what was shipped; install the package again")
        return _content(unpack_subset(data), options)

    return Source("fashion-mnist-12k", ["embedded", ASSET_SHA256], read)


def unpack_subset(data: bytes) -> dict[str, Part]:
    """Returns the parts of the asset's uncompressed content: two `.npy` after one another, images and labels, training first."""
    stream = io.BytesIO(data)
    images, labels = np.load(stream, allow_pickle=False), np.load(stream, allow_pickle=False)
    return {"train": Part(images[:10_000], labels[:10_000]), "test": Part(images[10_000:], labels[10_000:])}


def full_source(options: ImageOptions, data_dir: str | Path | None, downloads: Path) -> Source:
    """Returns the full set as a source: 60,000 training and 10,000 test images.

    Args:
        options: Image size and colour.
        data_dir: A folder that holds the four files, `.gz` or not, itself or in `FashionMNIST/raw`; None: Debian's folder if
            it is there, else they are downloaded.
        downloads: Where downloads are kept.

    Raises:
        DataError: When `data_dir` lacks a file.
    """
    identity = ["fashion-mnist", [content for _, content in FILES.values()]]
    found = _local_files(data_dir)
    return Source("fashion-mnist", identity, lambda: _content(read_files(found or _download(downloads)), options))


def _content(parts: dict[str, Part], options: ImageOptions) -> Content:
    return arrays_content(parts, options, class_names=CLASS_NAMES, flip=True, centred=True)


def _local_files(data_dir: str | Path | None) -> dict[str, Path]:
    """Returns the four files where they lie, nothing where none was named and none is installed."""
    folders = [SYSTEM_FOLDER]
    if data_dir is not None:
        folders = [Path(data_dir).expanduser() / sub for sub in ("", "FashionMNIST/raw", "fashion-mnist")]
    for folder in folders:
        found = {name: path for name in FILES for path in (folder / name, folder / f"{name}.gz") if path.is_file()}
        if len(found) == len(FILES):
            return found
    if data_dir is None:
        return {}
    names = ", ".join(f"{name}.gz" for name in FILES)
    raise DataError(f"{shown(str(data_dir))} does not hold all of {names}; leave the folder out to download them")


def read_files(files: dict[str, Path]) -> dict[str, Part]:
    """Returns the parts of the four files, after a check of their content.

    Raises:
        DataError: When a file cannot be read or is not the published one.
    """
    arrays: dict[str, NDArray[np.uint8]] = {}
    for name, path in files.items():
        try:
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"cannot read {shown(str(path))}: {error}") from None
        if hashlib.sha256(data).hexdigest() != FILES[name][1]:
            raise DataError(f"{shown(str(path))} is not the published {name} of Fashion-MNIST; remove it and download it again")
        images = "idx3" in name
        values = np.frombuffer(data, dtype=np.uint8, offset=16 if images else 8)
        arrays[name] = values.reshape(-1, 28, 28) if images else values
    return {
        split: Part(arrays[f"{short}-images-idx3-ubyte"], arrays[f"{short}-labels-idx1-ubyte"])
        for split, short in (("train", "train"), ("test", "t10k"))
    }


def _download(folder: Path) -> dict[str, Path]:
    """Returns the four files, downloaded where they do not lie there yet, their published MD5 checked."""
    import http.client
    import urllib.request

    files = {}
    for name, (md5, _) in FILES.items():
        path = files[name] = folder / f"{name}.gz"
        if path.is_file() and _md5(path.read_bytes()) == md5:
            continue
        url = f"{HOME}{name}.gz"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 (a constant address)
                data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise DataError(
                f"cannot download {url} ({reason}); name a folder that holds the files (--data-dir), "
                "or use fashion-mnist-12k, which is embedded"
            ) from None
        if _md5(data) != md5:
            raise DataError(f"{url} has MD5 {_md5(data)}, expected the published {md5}; try again, or name a folder (--data-dir)")
        _put(path, data)
    return files


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
