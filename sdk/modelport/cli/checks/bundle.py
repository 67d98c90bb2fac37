"""Whether a given bundle is whole, and can be loaded with what is installed here."""

from collections.abc import Iterator

from model_artifact.bundle import verify
from model_artifact.errors import ArtifactError
from model_artifact.framework import image_tag, incompatibilities
from model_artifact.manifest import Manifest
from modelport.cli.checks.finding import Context, Finding


def whole(context: Context) -> Iterator[Finding]:
    """Is every byte as packed, and do the library versions fit?"""
    if context.bundle is None:
        return
    try:
        verified = verify(context.bundle)
    except ArtifactError as error:
        yield Finding("fail", "bundle", str(error), "fetch or pack it again")
        return
    manifest = verified.manifest
    yield Finding("ok", "bundle", f"{manifest.name} {manifest.version} is whole, {verified.digest}")
    yield from _framework(manifest)


def _framework(manifest: Manifest) -> Iterator[Finding]:
    framework = manifest.framework
    if framework is None:
        yield Finding("warn", "framework", "the bundle does not say what it was fitted with", "pack it")
        return
    problems = incompatibilities(framework)
    if not problems:
        yield Finding("ok", "framework", f"{framework.library} {framework.version} fits")
    elif manifest.format("onnx"):
        yield Finding("ok", "framework", f"{'; '.join(problems)}, which ONNX does not mind")
    else:
        advice = (
            f"use the image with the tag {image_tag(framework)}, or install {framework.library}=={framework.version}"
        )
        yield Finding("fail", "framework", "; ".join(problems), advice)
