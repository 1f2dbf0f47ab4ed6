"""Outrider: synthetic monitoring and load probing that holds a network to its written guarantee."""

__version__ = "0.1.0"
