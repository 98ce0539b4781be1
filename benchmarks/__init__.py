"""Benchmarks: flowsim beside what a user would pick instead. `python -m benchmarks` measures all and writes results.md."""
