"""The one way from a photo to bytes."""

from __future__ import annotations

import ast
import inspect
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

import nas.data.image as image_module
from nas.data import prepare_image

Image = pytest.importorskip("PIL.Image")

SQUARE = {"image_size": [8, 8], "color": "rgb", "resize": "stretch"}


def settings(rows: int, columns: int, color: str = "rgb", resize: str = "crop") -> dict[str, object]:
    return {"image_size": [rows, columns], "color": color, "resize": resize}


def plain(*color: int, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    return np.broadcast_to(np.array(color, dtype=np.uint8)[:, None, None], (len(color), size[1], size[0]))


def test_an_image_of_the_right_size_keeps_its_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    for resize in ("crop", "pad", "stretch"):
        out = prepare_image(Image.fromarray(pixels), settings(5, 7, resize=resize))
        assert out.dtype == np.uint8
        assert out.flags.c_contiguous
        np.testing.assert_array_equal(out, pixels.transpose(2, 0, 1))


def test_grey_is_the_luma_of_rgb() -> None:
    out = prepare_image(Image.new("RGB", (8, 8), (255, 0, 0)), settings(8, 8, "grey"))
    np.testing.assert_array_equal(out, plain(76))


def halves() -> object:
    """Black to the left, a white middle, grey to the right: 40 wide, 20 high."""
    pixels = np.zeros((20, 40), dtype=np.uint8)
    pixels[:, 8:32] = 255
    pixels[:, 32:] = 128
    return Image.fromarray(pixels)


def test_crop_keeps_the_middle() -> None:
    np.testing.assert_array_equal(prepare_image(halves(), settings(10, 10, "grey")), plain(255, size=(10, 10)))


def test_pad_keeps_everything_and_fills_with_black() -> None:
    out = prepare_image(halves(), settings(20, 20, "grey", "pad"))[0]
    assert not out[:5].any()
    assert not out[15:].any()
    assert not out[5:15, :3].any()
    assert (out[5:15, 6:14] == 255).all()
    assert (out[5:15, 17:] == 128).all()


def test_stretch_ignores_the_ratio() -> None:
    out = prepare_image(halves(), settings(20, 20, "grey", "stretch"))[0]
    assert (out[:, 6:14] == 255).all()
    assert (out[:, 17:] == 128).all()


def test_shrinking_averages() -> None:
    board = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    out = prepare_image(board, settings(4, 4, "grey"))
    assert abs(out.astype(int) - 127.5).max() < 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T, 6: upright.T[::-1],
        7: upright.T[::-1, ::-1], 8: upright.T[:, ::-1],
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(prepare_image(tmp_path / "a.png", settings(2, 3, "grey"))[0], upright)


def test_alpha_is_composited_over_white() -> None:
    np.testing.assert_array_equal(prepare_image(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), SQUARE), plain(255, 255, 255))
    np.testing.assert_array_equal(prepare_image(Image.new("RGBA", (8, 8), (255, 0, 0, 255)), SQUARE), plain(255, 0, 0))
    np.testing.assert_array_equal(prepare_image(Image.new("LA", (8, 8), (0, 51)), SQUARE), plain(204, 204, 204))


def test_palettes_become_colours_and_their_transparency_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    np.testing.assert_array_equal(prepare_image(image, SQUARE), plain(10, 20, 30))
    image.save(tmp_path / "a.png", transparency=1)
    np.testing.assert_array_equal(prepare_image(tmp_path / "a.png", SQUARE), plain(255, 255, 255))


def test_sixteen_bits_are_divided_by_257(tmp_path: Path) -> None:
    values = np.array([[0, 257, 128, 129], [65535, 65406, 65407, 1000]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    out = prepare_image(tmp_path / "a.png", settings(2, 4, "grey"))[0]
    np.testing.assert_array_equal(out, [[0, 1, 0, 1], [255, 254, 255, 4]])
    with pytest.raises(ValueError, match=r"100000.*65,535"):
        prepare_image(Image.fromarray(np.full((2, 2), 100_000, dtype=np.int32)), SQUARE)
    with pytest.raises(ValueError, match="floats"):
        prepare_image(Image.fromarray(np.ones((2, 2), dtype=np.float32)), SQUARE)


@pytest.mark.parametrize(("mode", "color", "expected"), [("CMYK", (0, 255, 255, 0), (255, 0, 0)), ("1", 1, (255, 255, 255))])
def test_other_colour_models(mode: str, color: object, expected: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(prepare_image(Image.new(mode, (8, 8), color), SQUARE), plain(*expected))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 5)])
@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_extreme_ratios(size: tuple[int, int], resize: str) -> None:
    assert prepare_image(Image.new("RGB", size), settings(6, 9, resize=resize)).shape == (3, 6, 9)


@pytest.mark.parametrize(("size", "resize"), [((900, 600), "crop"), ((600, 900), "pad"), ((2000, 40), "stretch")])
def test_a_large_jpeg_is_the_same_from_disk_and_memory(tmp_path: Path, size: tuple[int, int], resize: str) -> None:
    rows, columns = np.indices(size[::-1])
    waves = np.stack([128 + 100 * np.sin(rows / 40), 128 + 100 * np.cos(columns / 50), (rows + columns) % 200], axis=2)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(waves.astype(np.uint8)).save(tmp_path / "a.jpg", quality=95, exif=exif)
    with Image.open(tmp_path / "a.jpg") as image:
        image.load()
        whole = prepare_image(image, settings(24, 32, resize=resize))
    assert abs(prepare_image(tmp_path / "a.jpg", settings(24, 32, resize=resize)).astype(int) - whole).max() <= 8


def header_only_png(path: Path, width: int, height: int) -> Path:
    """Writes a PNG that claims a size and holds no pixels."""
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    for body in (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT" + zlib.compress(b"")):
        with path.open("ab") as file:
            file.write(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
    return path


def test_a_long_side_is_refused_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="100000 x 1 pixels is too large"):
        prepare_image(header_only_png(tmp_path / "a.png", 100_000, 1), SQUARE)


@pytest.mark.parametrize(("key", "value"), [("resize", "shrink"), ("color", None), ("color", "hsv")])
def test_senseless_settings(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        prepare_image(Image.new("RGB", (4, 4)), {**SQUARE, key: value})


def test_the_text_of_the_module_stands_alone(tmp_path: Path) -> None:
    source = inspect.getsource(image_module)
    imported = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.Import | ast.ImportFrom)}  # fmt: skip
    assert imported == {"__future__", "os", "collections.abc", "typing", "numpy", "PIL"}
    alone: dict[str, object] = {}
    exec(compile(source, "alone.py", "exec"), alone)
    photo = Image.effect_noise((30, 20), 50)
    quoted = alone["prepare_image"]
    assert callable(quoted)
    np.testing.assert_array_equal(quoted(photo, SQUARE), prepare_image(photo, SQUARE))
