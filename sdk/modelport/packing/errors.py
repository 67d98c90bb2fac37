"""What packing refuses."""

from model_artifact.errors import ArtifactError


class PackRefused(ArtifactError):
    """The estimator, sample or features cannot become a bundle as they are; the text says what to do."""
