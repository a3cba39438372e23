"""What recording and reading cost, as ratios from one interleaved run: ``python -m benchmarks``."""
