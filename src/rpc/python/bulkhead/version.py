"""As of the package bulkhead."""

__version__ = "0.1.0"
