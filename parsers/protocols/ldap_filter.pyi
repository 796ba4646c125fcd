"""For other Cython modules only."""
