"""`nas new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nas.errors import SpaceError, UnknownNameError


def new(file: Path, /, *, from_: Annotated[str, Parameter(name="--from")] = "fashion_small") -> None:
    """Start a space of your own from a shipped one: writes its file for you to edit.

    Args:
        file: The Python file to write; it must not exist.
        from_: Name of the shipped space to begin with (nas list spaces).
    """
    from nas.hints import quoted
    from nas.library import shipped

    known = shipped()
    if from_ not in known:
        raise UnknownNameError("space", from_, known)
    if file.suffix != ".py":
        raise SpaceError(f"{file} does not end in .py; a space is a Python file, for example {file.stem or 'my_space'}.py")
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(known[from_].read_text(encoding="utf-8"))
    except FileExistsError:
        raise SpaceError(f"{file} exists already and is left as it is; choose another name") from None
    except OSError as problem:
        raise SpaceError(f"{file} cannot be written: {problem.strerror}") from None
    print(f"wrote {file}; edit it, then: nas profile {quoted(file)}")
