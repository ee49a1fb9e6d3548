"""spred: L1 sparsity wherever there is a gradient."""

__version__ = "0.1.0"
