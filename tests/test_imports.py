"""The floors of the house, import cycles, what `import nas` loads, and the names it exports.

`FLOORS` is the map of the package: a file imports only what stands above it in the list, inside functions too. Add a new file
where it belongs.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

import nas

PACKAGE = Path(nas.__file__).resolve().parent

FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "nas.errors",
        "nas.counting",
        "nas.pareto",
        "nas.intervals",
        "nas.layering",
        "nas.measurement",
        "nas.interrupts",
        "nas.processes",
        "nas.lines",
        "nas.files",
    ),
    ("nas.userfile", "nas.pairs", "nas.correlation", "nas.nearby", "nas.noise", "nas.optimism"),
    ("nas.domains", "nas.ops", "nas.objectives", "nas.budget", "nas.database", "nas.metrics"),
    ("nas.annotations", "nas.schedule"),
    ("nas.graph", "nas.recipe", "nas.events", "nas.rows"),
    ("nas.again",),
    ("nas.looks", "nas.resolutions", "nas.windows", "nas.reduction", "nas.labelling", "nas.memory", "nas.storage", "nas.promise"),
    (
        "nas.builder",
        "nas.canonical",
        "nas.costs",
        "nas.outline",
        "nas.source",
        "nas.record",
        "nas.weights",
        "nas.tally",
        "nas.wording",
    ),
    ("nas.alignment",),
    ("nas.channels", "nas.identities"),
    ("nas.growth",),
    ("nas.kinship",),
    ("nas.importance",),
    ("nas.blocks.base", "nas.table", "nas.picture"),
    ("nas.blocks",),
    ("nas.ties",),
    ("nas.closings",),
    ("nas.containment", "nas.variation"),
    ("nas.space",),
    ("nas.notation", "nas.problem"),
    ("nas.descent",),
    ("nas.library", "nas.overview"),
    ("nas.images", "nas.augment", "nas.averaging", "nas.readahead", "nas.kernels"),
    ("nas.module", "nas.data", "nas.device", "nas.checkpoint", "nas.step"),
    ("nas.train", "nas.inherit"),
    ("nas.scoring", "nas.zerocost", "nas.unseen"),
    ("nas.executors.base",),
    ("nas.perform",),
    ("nas.executors",),
    ("nas.evaluators.base",),
    ("nas.evaluators", "nas.stopwatch"),
    ("nas.strategies.base",),
    ("nas.optuna_mirror", "nas.spread", "nas.pruning", "nas.surrogates"),
    ("nas.optuna_strategy",),
    ("nas.strategies",),
    ("nas.ledger", "nas.settings", "nas.attempts"),
    ("nas.jobs", "nas.journal", "nas.limits", "nas.prescreen"),
    ("nas.parallel",),
    ("nas.baselines", "nas.retraining"),
    ("nas.arguments", "nas.coordinator", "nas.recompute", "nas.session"),
    ("nas.trials",),
    ("nas.found",),
    ("nas.run",),
    ("nas.warm", "nas.screened", "nas.rungs"),
    ("nas.certainty", "nas.hints", "nas.profiling", "nas.addresses", "nas.rebuild", "nas.standalone"),
    ("nas.given", "nas.scaling", "nas.chosen"),
    ("nas.loop",),
    ("nas.api", "nas.export"),
    ("nas.final", "nas.report"),
    ("nas.progress", "nas.bench"),
    ("nas.cli",),
    ("nas.__main__",),
)
"""From the ground to the roof. A package stands for all its files that have no entry of their own."""

UPWARDS = {
    ("nas.blocks.base", "nas.blocks"): "a field whose block was left out holds an empty Sequential, which is a Block itself",
    ("nas.found", "nas.export"): "`run.best().export(...)` reads better than a function of a run",
    ("nas.run", "nas.report"): "`run.report(...)`, likewise",
}
"""The imports upwards that there are, each inside a function, and why."""

WITHOUT_TORCH = FLOORS[: FLOORS.index(("nas.library", "nas.overview")) + 1]
HEAVY = ("torch", "optuna", "pandas", "plotly", "matplotlib", "jinja2", "PIL", "moocore", "networkx", "rich")


class Import(NamedTuple):
    """One import: by which file, of what, and whether it happens when the file is loaded."""

    by: str
    of: str
    at_once: bool


def module_name(path: Path) -> str:
    parts = ("nas", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if "search_spaces" not in path.parts}


def imports(tree: ast.AST, by: str, at_once: bool = True) -> Iterator[Import]:
    """Yields what a file imports when it runs; what only type checkers read is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(by, inner if inner in FILES else str(node.module), at_once)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(by, alias.name, at_once)
        else:
            yield from imports(node, by, at_once and not isinstance(node, ast.FunctionDef))


IMPORTS = [found for name, path in FILES.items() for found in imports(ast.parse(path.read_text(encoding="utf-8")), name)]


def entry(module: str) -> str:
    """Returns the name under which a module stands in `FLOORS`."""
    known = {name for floor in FLOORS for name in floor}
    while module not in known:
        module, dot, _ = module.rpartition(".")
        if not dot:
            return ""
    return module


def height(module: str) -> int:
    return next(i for i, floor in enumerate(FLOORS) if entry(module) in floor)


@pytest.mark.parametrize("module", [name for name in FILES if name != "nas"])
def test_a_file_has_a_floor_and_imports_only_from_below(module: str) -> None:
    assert entry(module), f"{module} stands nowhere in FLOORS; add it"
    for found in IMPORTS:
        if found.by != module or not found.of.startswith("nas.") or entry(found.of) == entry(module):
            continue
        if (module, entry(found.of)) in UPWARDS and not found.at_once:
            continue
        assert height(found.of) < height(module), f"{module} imports {found.of}, which does not stand below it"


def test_every_entry_of_the_floors_exists() -> None:
    assert [name for floor in FLOORS for name in floor if find_spec(name) is None] == []


def test_no_import_cycles() -> None:
    graph = {name: {found.of for found in IMPORTS if found.by == name and found.of in FILES} for name in FILES}
    for name, above in UPWARDS:
        graph[name] -= {found.of for found in IMPORTS if (found.by, entry(found.of)) == (name, above) and not found.at_once}
    while graph:
        leaves = {name for name, used in graph.items() if not used & graph.keys()}
        assert leaves, f"these files import each other: {', '.join(sorted(graph))}"
        graph = {name: used for name, used in graph.items() if name not in leaves}


@pytest.mark.parametrize("package", ["nas.strategies", "nas.executors"])
def test_siblings_import_only_the_base(package: str) -> None:
    inside = [found for found in IMPORTS if found.by.startswith(f"{package}.") and found.of.startswith(f"{package}.")]
    assert inside, "nothing was looked at"
    assert {found.of for found in inside} == {f"{package}.base"}


def test_the_lower_floors_know_no_torch() -> None:
    low = {name for floor in WITHOUT_TORCH for name in floor}
    found = [f"{f.by} imports {f.of}" for f in IMPORTS if entry(f.by) in low and f.of.split(".")[0] == "torch"]
    assert found == []


def test_nothing_unpickles_and_nothing_reads_yaml() -> None:
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "yaml", "shelve", "marshal"}
    assert [f"{f.by} imports {f.of}" for f in IMPORTS if f.of.split(".")[0] in forbidden] == []
    assert [name for name, path in FILES.items() if "torch.load(" in path.read_text(encoding="utf-8")] == []


def loaded_by(statement: str) -> set[str]:
    """Runs a statement in a fresh process and returns the top-level modules it loads."""
    code = f"import sys\n{statement}\nprint('\\n'.join(m.split('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_nas_loads_nothing_heavy() -> None:
    assert loaded_by("import nas") & set(HEAVY) == set()


def test_the_test_above_can_fail() -> None:
    assert "pandas" in loaded_by("import nas, pandas") & set(HEAVY)


def test_a_space_is_written_and_costed_without_torch() -> None:
    draw = "dict(space.sample(numpy.random.default_rng(0)))"
    statement = f"import nas, numpy; space = nas.load_space('fashion_small'); nas.cost(space, {draw})"
    assert loaded_by(statement) & {"torch", "optuna", "pandas"} == set()


def test_the_command_shows_its_help_without_anything_heavy() -> None:
    statement = "from nas.cli import main\nassert main(['--help']) == 0"
    assert loaded_by(statement) & (set(HEAVY) - {"rich"}) == set()


@pytest.mark.parametrize("name", nas.__all__)
def test_an_export_is_the_same_thing_twice(name: str) -> None:
    first = getattr(nas, name)
    for module in FILES:
        if module.count(".") == 1 and find_spec(module) and module not in ("nas.__main__", "nas.train", "nas.final"):
            __import__(module)  # a module of that name would take the export's place here
    assert getattr(nas, name) is first
    assert f"nas.{name}" not in FILES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="serach"):
        nas.serach


def test_type_checkers_and_the_table_of_exports_agree() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == nas._EXPORTS
