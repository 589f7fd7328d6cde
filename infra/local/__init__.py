"""The stack on one machine, for developers, tests, the demo and the benchmark. It is never deployed."""

from infra.local.stack import LocalStack

__all__ = ["LocalStack"]
