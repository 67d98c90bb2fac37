"""Brings a model from where it is kept to the volume it is served from: whole and verified, or not at all."""
