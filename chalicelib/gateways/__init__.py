"""Everything outside Stepwell that a run touches: one module an outside thing, its fake beside it.

What is compared or printed here is a frozen dataclass, as everywhere. A gateway and its fake are plain classes: nobody
compares them, and every dataclass adds most of a millisecond to each cold start.
"""
