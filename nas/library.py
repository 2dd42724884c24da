"""Finds definitions by name or path: spaces and classic networks. Runs users' files by `nas/userfile.py` alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from nas.blocks.base import Block
from nas.errors import SpaceError, UnknownNameError
from nas.notation import space_from_json
from nas.space import Architecture, Space
from nas.userfile import is_file, load_file, load_object, said, split_address


def shipped() -> dict[str, Path]:
    """Returns the spaces that come with this package, by name: beside it in a checkout, inside it when installed."""
    return _definitions("")


def spaces() -> dict[str, str]:
    """Returns the shipped spaces by name, each with the first line of its file."""
    return {name: _first_line(path) for name, path in shipped().items()}


def networks() -> dict[str, Space]:
    """Returns the classic networks by name, each with nothing open: the tables `NETWORKS` of the files in `search_spaces/classic`.

    Input shape and classes are those of their papers.
    """
    return {name: replace(space, name=name) for path in _families() for name, space in load_file(path).NETWORKS.items()}


def papers() -> dict[str, str]:
    """Returns the classic networks by name, each with the first line of its file: its family and paper."""
    return {name: _first_line(path) for path in _families() for name in load_file(path).NETWORKS}


def _families() -> tuple[Path, ...]:
    return tuple(_definitions("classic").values())


def _definitions(below: str) -> dict[str, Path]:
    here = Path(__file__).resolve().parent
    for folder in (here / "search_spaces", here.parent / "search_spaces"):
        if folder.is_dir():
            return {path.stem: path for path in sorted((folder / below).glob("*.py")) if not path.stem.startswith("_")}
    return {}


def _first_line(path: Path) -> str:
    match = re.match(r'\s*"""(.*?)(?:\n|""")', path.read_text(encoding="utf-8"))
    return match[1].strip() if match else ""


def load_space(address: str | Path | Space) -> Space:
    """Returns a space.

    Args:
        address: Name of a shipped space or of a classic network, `FILE.py` (its `space`), `FILE.py:NAME` or `module:NAME` (a
            space, a block, or a function that returns one), `FILE.json`, or a `Space`.

    Raises:
        UnknownNameError: When no such space is known.
        SpaceError: When the file cannot be read or holds no space.
    """
    if isinstance(address, Space):
        return address
    text = str(address)
    if text.endswith(".json"):
        return replace(space_from_json(_bytes(Path(text)), file=text), name=Path(text).stem)
    if text in shipped():
        return _as_space(load_object(f"{shipped()[text]}:space"), text, text)
    if not is_file(text) and ":" not in text:
        classics = networks()
        if text in classics:
            return classics[text]
        if any(c in text for c in "/\\"):
            raise SpaceError(f"space {text!r}: no such file; expected FILE.py, FILE.json or a name of: {', '.join(shipped())}")
        raise UnknownNameError("space or network", text, [*shipped(), *classics], other=_here(text, [*shipped(), *classics]))
    found = load_object(text if split_address(text)[1] else f"{text}:space")
    return _as_space(found, text, Path(split_address(text)[0]).stem)


_ELSEWHERE = {
    "vgg11": "vgg-a", "vgg13": "vgg-b", "vgg16": "vgg-d", "vgg19": "vgg-e", "lenet": "lenet-5", "inceptionv1": "googlenet",
    "resnet20": "cifar-resnet-20", "resnet32": "cifar-resnet-32", "resnet44": "cifar-resnet-44", "resnet56": "cifar-resnet-56",
    "resnet110": "cifar-resnet-110",
}  # fmt: skip
"""Names that classic networks go by elsewhere, in small letters and digits, and what they are called here."""


def _here(name: str, known: Iterable[str]) -> str:
    """Returns the known name of what somebody names otherwise or spells with other case and dashes, empty where there is none."""
    plain = _plain(name)
    return _ELSEWHERE.get(plain) or next((other for other in known if _plain(other) == plain), "")


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.lower())


def _as_space(found: object, address: str, name: str) -> Space:
    if callable(found) and not isinstance(found, type | Block | Space):
        try:
            found = found()
        except Exception as error:
            raise SpaceError(f"{address}: {said(error)}") from error
    if isinstance(found, Architecture):
        found = Space(found.body, found.input_shape, found.classes, found.border, found.recipe)
    if isinstance(found, Block):
        found = Space(found)
    if not isinstance(found, Space):
        raise SpaceError(f"{address} is {type(found).__name__}, expected a Space; write space = Space(body=Sequential(...))")
    return replace(found, name=found.name or name)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpaceError(f"{path}: {error.strerror or error}") from None


def own_blocks(space: Space) -> Mapping[str, type[Block]]:
    """Returns the block classes of a space that are not this package's, by name."""
    return {type(b).__name__: type(b) for b in space.body.walk() if not type(b).__module__.startswith("nas.blocks.")}
