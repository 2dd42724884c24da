"""The command `nas`: which commands there are, and what becomes of their errors.

Exit codes: 0; 1 where the answer is no (`nas verify`, `nas show --contains`); 2 after bad input, with one line on standard error;
130, 143, 129 after Ctrl-C, SIGTERM, SIGHUP; 141 where the reader of the output went away. All else is a bug with its traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError, UnknownCommandError

from nas.cli.bench import TABLES, bench
from nas.cli.compare import compare
from nas.cli.data import data
from nas.cli.export import export
from nas.cli.listing import list_
from nas.cli.new import new
from nas.cli.profile import profile
from nas.cli.report import report
from nas.cli.scale import scale
from nas.cli.search import resume, search
from nas.cli.show import show
from nas.cli.train import train
from nas.cli.verify import verify
from nas.errors import NasError, did_you_mean

COMMANDS: Mapping[str, Callable[..., object]] = {
    "search": search,
    "resume": resume,
    "report": report,
    "show": show,
    "profile": profile,
    "scale": scale,
    "export": export,
    "train": train,
    "list": list_,
    "new": new,
    "verify": verify,
    "data": data,
    "bench": bench,
    "compare": compare,
}
"""Every command by name, in the order in which help shows them."""


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("paretonas")
    except PackageNotFoundError:
        return "unknown: not installed"


app = App(
    name="nas",
    help="Searches spaces of convolutional networks for accuracy against parameters and operations.",
    version=_version,
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
)
_NETWORKS = {
    "help_epilogue": "A network is RUN@ID, RUN@best, RUN@best:params<=50k, RUN@knee, RUN@BASELINE, a classic (nas list networks), "
    "a JSON file, or a space with --sample SEED."
}
_ABOUT: dict[str, dict[str, str]] = {
    "bench": {"help_epilogue": TABLES},
    "train": {**_NETWORKS, "usage": "Usage: nas train [OPTIONS] NETWORK..."},
    **dict.fromkeys(("show", "export", "scale"), _NETWORKS),
}
for _name, _command in COMMANDS.items():
    app.command(_command, name=_name, sort_key=list(COMMANDS).index(_name), **_ABOUT.get(_name, {}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Without the program's name; None: those of the process.

    Returns:
        The exit code.
    """
    try:
        done = app(
            None if arguments is None else list(arguments), exit_on_error=False, print_error=False, result_action="return_value"
        )
        sys.stdout.flush()
        return done if isinstance(done, int) else 0
    except CycloptsError as error:
        return _refused(_one_line(error))
    except NasError as error:
        return _refused(" ".join(str(error).split()))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit stays quiet too
        return 141
    except KeyboardInterrupt as stop:
        return int(getattr(stop, "exit_code", 130))


def _refused(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def _one_line(error: CycloptsError) -> str:
    """Returns the parser's complaint in one line, with the nearest name and where help is found."""
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        name = error.unused_tokens[0]
        return f"unknown command {name!r}{did_you_mean(name, COMMANDS)}"
    error.verbose = False
    command = " ".join(["nas", *(error.command_chain or ())])
    return f"{' '.join(str(error).split()).rstrip('.')}; see {command} --help"
