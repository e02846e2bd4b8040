"""Benchmarks against the peers: `python -m tests.bench`. How to read the figures: docs/benchmarks.md."""
