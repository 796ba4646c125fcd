"""tracelake: forensic evidence into one normalized body of tables."""

__version__ = "0.1.0"
