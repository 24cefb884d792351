"""How fast voxlm is, against its peers, on one machine in one run: ``python -m benchmarks``."""
