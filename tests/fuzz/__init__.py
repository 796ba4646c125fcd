"""Mutation fuzzing of every parser: `make fuzz`."""
