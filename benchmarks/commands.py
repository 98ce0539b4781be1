"""Whole commands, each in a process of its own."""

import subprocess
import sys
import tempfile

from benchmarks.timing import Row, seconds, show


def _run(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "flowsim", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return [
            Row("flowsim --help", show(seconds(lambda: _run("--help"), 7))),
            Row("flowsim info", show(seconds(lambda: _run("info"), 3))),
            Row("flowsim check, cold", show(seconds(lambda: _run("check", "--output", folder), 3, warm=0))),
        ]
