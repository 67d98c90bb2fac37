"""What can be wrong with a bundle: one tree, so that a caller catches what it can act on.

ArtifactError
├── PathRefused          a path that could leave the bundle or hide in it
├── ManifestInvalid      manifest.json is missing, unreadable, or says something unknown
├── DigestMismatch       bytes are not the bytes that were pinned or listed
├── AlreadyPublished     the place is taken by other content
└── ExpressionInvalid    a rule or computed default that is outside the small language
"""


class ArtifactError(Exception):
    """Base of everything this package raises; its text is a sentence for people."""


class PathRefused(ArtifactError):
    """A relative path, name or version that is not safe to join or publish."""


class ManifestInvalid(ArtifactError):
    """The manifest is missing or breaks the contract; the text names the field."""


class DigestMismatch(ArtifactError):
    """Content differs from its pinned digest or its entry in the manifest."""


class AlreadyPublished(ArtifactError):
    """`<root>/<name>/<version>` exists with other content."""


class ExpressionInvalid(ArtifactError):
    """An expression uses something outside the allowed language or an unknown name."""
