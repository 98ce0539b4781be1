"""`python -m benchmarks [NAME ...]`: measure, print and write benchmarks/results.md."""

import os
import platform
import sys
from pathlib import Path

from benchmarks import accuracy, commands, descents, finite, flows, horizon, layer_flows, layers, maps, profiles, samples, sweeps
from flowsim.dynamics.trajectory import versions

PARTS = {
    "profiles": profiles,
    "flows": flows,
    "descents": descents,
    "horizon": horizon,
    "maps": maps,
    "layers": layers,
    "layer_flows": layer_flows,
    "samples": samples,
    "finite": finite,
    "sweeps": sweeps,
    "accuracy": accuracy,
    "commands": commands,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"benchmarks: unknown part {unknown[0]!r}; the parts are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    lines = ["| what | median (least to largest) | beside |", "| --- | --- | --- |"]
    for name in names or PARTS:
        for row in PARTS[name].rows():
            lines.append(f"| {row.what} | {row.value} | {row.beside} |")
            print(lines[-1], flush=True)
    if not names:
        made_with = ", ".join(f"{name} {version}" for name, version in versions().items())
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {made_with}"
        page = ["# Benchmarks", "", f"`python -m benchmarks` on {machine}.", "", *lines, ""]
        Path(__file__).with_name("results.md").write_text("\n".join(page))
    return 0


sys.exit(main(sys.argv[1:]))
