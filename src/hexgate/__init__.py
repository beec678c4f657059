"""hexgate: a release gate for AI models. Six indicators, one gate."""

__all__ = ["__version__"]

__version__ = "0.1.0"
