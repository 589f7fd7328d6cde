"""Everything outside Stepwell that a run touches: one module an outside thing, its fake beside it."""
