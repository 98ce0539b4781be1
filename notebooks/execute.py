"""Run the notebooks in a fresh kernel of this Python and write them back with their outputs:

    python notebooks/execute.py                          # all of them, in place
    python notebooks/execute.py rate_plots --into DIR    # one of them, written elsewhere

Nothing of the machine stays in the files: no times, no paths, no versions. Bars of progress are off. An error in a cell is an error here.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.ipynb")))
SECONDS = 300
"""The most that one cell may take."""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path) -> Any:
    """The notebook at ``path``, with the outputs of a fresh kernel that runs this Python in an empty folder."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as scratch:
        # a kernel of its own: neither another environment's kernel nor the user's settings of IPython are of any matter
        spec = Path(scratch, "kernels", "python3")
        spec.mkdir(parents=True)
        variables = {"TQDM_DISABLE": "1", "IPYTHONDIR": str(Path(scratch, "ipython"))}
        arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        kernel = {**METADATA["kernelspec"], "argv": arguments, "env": variables}
        spec.joinpath("kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
        specs = KernelSpecManager(kernel_dirs=[str(spec.parent)], ensure_native_kernel=False)
        manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs, connection_file=str(Path(scratch, "kernel.json")))
        work = Path(scratch, "work")
        work.mkdir()
        options = {"timeout": SECONDS, "record_timing": False, "coalesce_streams": True, "resources": {"metadata": {"path": str(work)}}}
        NotebookClient(notebook, km=manager, kernel_name="python3", **options).execute(cleanup_kc=True)
    return clean(notebook)


def clean(notebook: Any) -> Any:
    """``notebook`` without what belongs to one run of it: times, versions, sizes of windows."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells, 1):
        cell.id, cell.metadata = f"{number:02d}", {}
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = {}
    return notebook


def main(argv: list[str] | None = None) -> int:
    """The command line; see the module."""
    os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")
    parser = argparse.ArgumentParser(description="Run the notebooks and write them back with their outputs.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; by default all")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder to write to; by default their own")
    given = parser.parse_args(argv)
    for name in given.names:
        if name not in NAMES:
            parser.error(f"there is no notebook {name!r}; there are {', '.join(NAMES)}")
    for name in given.names or NAMES:
        begin = time.perf_counter()
        nbformat.write(execute(FOLDER / f"{name}.ipynb"), given.into / f"{name}.ipynb")
        print(f"{name}: {time.perf_counter() - begin:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
