"""Writes the text of an exported network: one Python file that needs PyTorch, safetensors, numpy and Pillow, and nothing of this
package. The part that reads photos is quoted from `nas.data.image`, so that it is the same. Nothing is executed here.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Usage:
    """What it takes to use a network on the images it was trained for.

    Attributes:
        class_names: One a class, in the order of the outputs.
        mean: Of each channel, on the scale the network sees.
        std: Of each channel.
        preprocessing: `image_size`, `color`, `resize` as `nas.data.prepare_image` takes them, and `divide_by`. `color` None: no
            photo can be made into its input; arrays can.
        mirror: Whether logits are averaged over the image and its mirror image, as when it was measured.
    """

    class_names: Sequence[str]
    mean: Sequence[float]
    std: Sequence[float]
    preprocessing: Mapping[str, Any]
    mirror: bool = False

    @property
    def reads_photos(self) -> bool:
        """Whether photos can be made into its input."""
        return self.preprocessing.get("color") is not None


def standalone_text(source: str, header: str, usage: Usage | None) -> str:
    """Returns the text of the exported file.

    Args:
        source: A file that defines `class Network(nn.Module)`: what was trained.
        header: What the docstring says; any text.
        usage: None leaves out all but the network and `load`.
    """
    parts = [_split(source)]
    blocks = ["__all__ = " + repr(["Network", "load", *(["predict", "to_input"] if usage else [])])]
    if usage is not None:
        blocks.append(_constants(usage))
    blocks += [*parts[0].body, _LOAD]
    imports = [*parts[0].imports, "import torch", "from pathlib import Path", "import sys"]
    if usage is not None:
        imports += ["import numpy as np", "from typing import Any"]
    if usage is None:
        blocks += [_NO_WEIGHTS, _MAIN_NO_PHOTOS % "load"]
    elif not usage.reads_photos:
        blocks += [_TO_INPUT, _PREDICT_ARRAYS, _NO_WEIGHTS, _MAIN_NO_PHOTOS % "load, predict"]
    else:
        photos = _split(inspect.getsource(_image_module()))
        imports += photos.imports
        blocks += [*photos.body, _TO_INPUT, _PREDICT_PHOTOS, _NO_WEIGHTS, _MAIN_PHOTOS]
    blocks.append(_RUN)
    return "\n".join([f'"""{_docstring(header)}"""\n', *_ordered(imports), "", *_spaced(blocks)])


def _image_module() -> ModuleType:
    from nas.data import image

    return image


@dataclass(frozen=True)
class _Parts:
    imports: list[str]
    body: list[str]


def _split(text: str) -> _Parts:
    """Returns the imports of a module, and its other statements with the comments before them; its docstring is left out."""
    lines = text.splitlines()
    imports: list[str] = []
    body: list[str] = []
    end = 0
    for k, node in enumerate(ast.parse(text).body):
        assert node.end_lineno is not None
        start, end = end, node.end_lineno
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append("\n".join(lines[node.lineno - 1 : end]))
        elif is_docstring and body:
            body[-1] += "\n" + "\n".join(lines[node.lineno - 1 : end])
        elif not (is_docstring and k == 0):
            body.append("\n".join(lines[start:end]).strip("\n"))
    return _Parts(imports, body)


def _ordered(imports: Iterable[str]) -> list[str]:
    """Returns imports once each: the future, the standard library, then others, with an empty line between."""
    unique = dict.fromkeys(["from __future__ import annotations", *imports])
    groups: list[list[str]] = [[], [], []]
    for line in unique:
        top = line.split()[1].partition(".")[0]
        groups[0 if top == "__future__" else 1 if top in sys.stdlib_module_names else 2].append(line)
    text: list[str] = []
    for group in filter(None, groups):
        text += ["", *sorted(group, key=lambda line: (not line.startswith("import"), line))]
    return text[1:]


def _spaced(blocks: list[str]) -> list[str]:
    """Separates assignments by one empty line and definitions by two."""
    text: list[str] = []
    for k, block in enumerate(blocks):
        big = block.lstrip().startswith(("def ", "class ", "@", "if "))
        before = k and blocks[k - 1].lstrip().startswith(("def ", "class ", "@", "if "))
        text += ["", *([""] if big or before else []), block] if k else [block]
    return [*text, ""]


def _docstring(text: str) -> str:
    """Returns any text as the inside of a docstring: no quote ends it, no backslash and no control character acts in it."""
    printable = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return printable.replace("\\", "\\\\").replace('"""', "'''").rstrip() + "\n"


def _constants(usage: Usage) -> str:
    settings = {key: usage.preprocessing[key] for key in ("image_size", "color", "resize") if key in usage.preprocessing}
    names = ",\n    ".join(repr(str(name)) for name in usage.class_names)
    lines = [f"CLASS_NAMES = [\n    {names},\n]"]
    if usage.reads_photos:
        lines.append(f"PREPROCESSING = {settings!r}")
    lines += [
        f"DIVIDE_BY = {float(usage.preprocessing.get('divide_by', 1))!r}  # before the next two apply",
        f"MEAN, STD = {[float(v) for v in usage.mean]!r}, {[float(v) for v in usage.std]!r}  # of each channel, training images",
        f"MIRROR = {bool(usage.mirror)!r}  # whether logits are averaged over an image and its mirror image",
    ]
    return "\n".join(lines)


_LOAD = '''
WEIGHTS = Path(__file__).with_suffix(".safetensors")


def load(weights: Path | str | None = WEIGHTS) -> Network:
    """Returns the network in evaluation mode, with the weights beside this file; `load(None)` gives fresh ones."""
    model = Network()
    if weights is not None:
        from safetensors.torch import load_file

        model.load_state_dict(load_file(weights))
    return model.eval()
'''.strip()

_TO_INPUT = '''
def to_input(arrays: Any) -> torch.Tensor:
    """Returns images `(N, C, H, W)`, as the network was trained on them, as the float tensor it takes."""
    x = torch.from_numpy(np.array(arrays, dtype=np.float32))
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) * DIVIDE_BY for v in (MEAN, STD))
    return (x - mean) / std
'''.strip()

_SHARES = """
    if model is None:
        model = load()
    with torch.inference_mode():
        logits = model(x)
        if MIRROR:
            logits = (logits + model(x.flip(3))) / 2
    ranked = [sorted(zip(CLASS_NAMES, row, strict=True), key=lambda pair: -pair[1]) for row in logits.softmax(1).tolist()]
""".strip("\n")

_PREDICT_PHOTOS = f'''
def predict(photo: Any, model: nn.Module | None = None) -> list[tuple[str, float]]:
    """Returns `[(class name, share), ...]`, the likeliest first.

    Args:
        photo: A path or a Pillow image.
        model: From `load()`; None loads it, so give it where there are many photos.
    """
    x = to_input(prepare_image(photo, PREPROCESSING)[None])
{_SHARES}
    return ranked[0]
'''.strip()

_PREDICT_ARRAYS = f'''
def predict(arrays: Any, model: nn.Module | None = None) -> list[list[tuple[str, float]]]:
    """Returns for each image `[(class name, share), ...]`, the likeliest first.

    Args:
        arrays: `(N, C, H, W)`, on the scale of the training images.
        model: From `load()`; None loads it.
    """
    x = to_input(arrays)
{_SHARES}
    return ranked
'''.strip()

_NO_WEIGHTS = '''
def no_weights() -> str:
    """Returns in a line that there are no trained weights; empty where there are."""
    here = Path(__file__).name
    return "" if WEIGHTS.is_file() else f"{here} has no trained weights: {WEIGHTS.name} does not lie beside it"
'''.strip()

_MAIN_PHOTOS = '''
def main(photos: list[str]) -> int:
    """Prints label and share of each photo; returns 2 where one could not be read, or where there are no trained weights."""
    if not photos or photos[0] in ("-h", "--help"):
        usage = f"usage: python {Path(__file__).name} PHOTO [PHOTO ...]; prints the likeliest class of each photo and its share"
        print(usage, file=sys.stdout if photos else sys.stderr)
        return 0 if photos else 2
    if no_weights():
        print(no_weights(), file=sys.stderr)
        return 2
    failed, model = 0, load()
    for photo in photos:
        try:
            label, share = predict(photo, model)[0]
        except (OSError, ValueError) as error:
            print(f"{photo}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
            failed = 2
        else:
            print(f"{photo}: {label} {share:.1%}")
    return failed
'''.strip()

_MAIN_NO_PHOTOS = '''
def main(arguments: list[str]) -> int:
    """Says what this file is for; returns 2 unless it was asked for that."""
    here = Path(__file__)
    is_asked = arguments[:1] in (["-h"], ["--help"])
    usage = f"usage: from {here.stem} import %s ({here.name} reads no photos)"
    print("; ".join(filter(None, [no_weights(), usage])), file=sys.stdout if is_asked else sys.stderr)
    return 0 if is_asked else 2
'''.strip()

_RUN = """
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
""".strip()
