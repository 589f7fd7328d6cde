"""Use cases: load, decide, save, perform."""
