"""The bundle contract that pack, fetch and serve share. Standard library only."""

__version__ = "0.1.0"
"""Version of the whole product. It is written here because images carry no package metadata."""
