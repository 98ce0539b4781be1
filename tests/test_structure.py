"""How the package hangs together: imports run one way, public names are what the contract says, start-up is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flowsim as fs

PACKAGE = Path(fs.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# what each room may know; a room that is not listed here has to be given a place in the story first
MAY_IMPORT = {
    "arguments": set(),
    "files": set(),
    "problem": {"arguments"},
    "dynamics": {"arguments", "files", "problem"},
    "theory": {"arguments", "problem"},
    "layers": {"arguments", "files", "problem", "dynamics", "theory"},
    "samples": {"arguments", "files", "problem", "dynamics", "theory", "layers"},
    "relu": {"arguments", "files", "dynamics"},
    "finite": {"arguments", "files", "problem", "dynamics", "theory", "layers", "samples"},
    "sweeps": {"arguments", "files", "problem", "dynamics", "theory", "layers", "finite"},
    "claims": {"arguments", "problem", "dynamics", "theory", "layers", "samples", "relu", "finite", "sweeps"},
    "present": {"arguments", "files", "problem", "dynamics", "theory", "layers", "samples", "relu", "finite", "sweeps", "claims"},
}
# the registry is public as `flowsim.theory.claims()`: imported in the call, not at the top
DEFERRED = {("theory", "claims")}
FRONT = {"cli", "commands", "__main__", "__init__"}

PUBLIC = {
    *("Ball", "Gaussian", "Laplace", "Law", "PopulationRisk", "Profile", "Radial", "Sphere", "Start", "StudentT", "log_times"),
    *("Schedule", "SciPy", "Trajectory", "compare", "gap_order", "gradient_descent", "gradient_flow", "load", "modified_flow"),
    *("LayerRun", "Layers", "layer_descent", "layer_flow"),
    *("Sweep", "check", "measure_rate", "regime_map"),
    *("finite", "layers", "present", "relu", "samples", "sweeps", "theory"),
}


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path):
    """Full names of the modules a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_the_top(path):
    """Full names of the modules imported when the file is."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_imports_run_one_way():
    rooms = {p.stem for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py"))} | {"arguments", "files"}
    for path in FILES:
        room = room_of(path)
        if room in FRONT:
            continue
        assert room in MAY_IMPORT, f"{room} has no place in the order of rooms"
        for name in imported(path):
            parts = name.split(".")
            if parts[0] != "flowsim" or len(parts) == 1 or parts[1] == room or parts[1] not in rooms | FRONT:
                continue
            if (room, parts[1]) in DEFERRED:
                assert not any(name.startswith(f"flowsim.{parts[1]}") for name in at_the_top(path)), path
                continue
            assert parts[1] in MAY_IMPORT[room], f"{path.relative_to(PACKAGE)} imports {name}"


def test_rooms_take_nothing_from_the_package_itself():
    """`import flowsim as fs` inside a room would let it reach every other room."""
    for path in FILES:
        if room_of(path) in MAY_IMPORT:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            plain = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
            assert "flowsim" not in plain, path


def test_only_public_names_of_other_packages_are_used():
    for path in FILES:
        for name in imported(path):
            private = [part for part in name.split(".")[1:] if part.startswith("_") and not part.startswith("__")]
            assert not private or name.startswith("flowsim."), f"{path.relative_to(PACKAGE)} imports {name}"


def test_no_star_imports():
    for path in FILES:
        assert not any(name.endswith(".*") for name in imported(path)), path


@pytest.mark.parametrize("package", ["sympy", "derivations", "pytest", "mpmath"])
def test_what_only_derives_or_tests_is_not_needed_to_run(package):
    for path in FILES:
        assert package not in {name.split(".")[0] for name in imported(path)}, path


def test_the_core_does_not_draw():
    for path in FILES:
        if room_of(path) not in {"present", *FRONT}:
            assert "matplotlib" not in {name.split(".")[0] for name in imported(path)}, path


def test_the_public_names_are_the_contract():
    assert set(fs.__all__) == PUBLIC
    assert set(dir(fs)) == PUBLIC | {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there_and_says_what_it_is(name):
    thing = getattr(fs, name)
    assert thing.__doc__
    assert thing.__doc__.strip()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'flowsim' has no attribute 'gradient_ascent'"):
        _ = fs.gradient_ascent


@pytest.mark.parametrize("room", ["problem", "dynamics", "theory", "samples", "relu", "finite", "sweeps", "claims", "present"])
def test_a_room_hands_on_exactly_what_it_lists(room):
    module = getattr(__import__(f"flowsim.{room}"), room)
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        assert hasattr(module, name)


@pytest.mark.parametrize("package", ["jax", "matplotlib", "diffrax", "scipy", "xarray", "sympy"])
def test_importing_flowsim_is_light(package):
    code = f"import sys, flowsim; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
