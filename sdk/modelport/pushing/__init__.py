"""Pushing: a bundle on this machine becomes a version in a folder or bucket, whole or not at all."""

from modelport.pushing.progress import Progress
from modelport.pushing.push import Pushed, push

__all__ = ["Progress", "Pushed", "push"]
