"""How fast, how much memory, against whom: `make bench` and `pytest benchmarks`."""
