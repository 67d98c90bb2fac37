"""Reaching the admin API of running servers: which versions are loaded, and which traffic they get."""

from modelport.admin.api import AdminApi, open_url
from modelport.admin.changes import Changed, Fleet, Outdated, change
from modelport.admin.documents import Document, Entry

__all__ = ["AdminApi", "Changed", "Document", "Entry", "Fleet", "Outdated", "change", "open_url"]
