"""The bundle contract that pack, fetch and serve share. Standard library only."""
