"""Refuse packages under a licence that does not let everybody use and ship what is in the images.

Every licence that an expression names must be allowed, alternatives included: what is simple to check is hard to fool.
"""

import re
import sys

import lock

ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "HPND", "ISC", "MIT", "MIT-0", "MPL-2.0",
    "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip
CLASSIFIERS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""SPDX names of what older metadata call a licence."""
KNOWN = {"skops": "MIT"}
"""Packages whose metadata name no licence: what the licence file beside them says."""
SEPARATORS = re.compile(r"\s+(?:AND|OR)\s+|[()]")


def named(package: lock.Package) -> set[str]:
    """SPDX names of the licences of a package."""
    text = KNOWN.get(package.name, package.licence)
    parts = {text} if text in CLASSIFIERS else {part.strip() for part in SEPARATORS.split(text)}
    return {CLASSIFIERS.get(part, part) for part in parts if part}


def main() -> int:
    """Print every licence and the packages under it; exit code 1 when one is refused."""
    found = sorted({package for path in lock.images().values() for package in lock.packages(path)})
    by_licence: dict[str, list[str]] = {}
    for package in found:
        for licence in named(package) or {"unknown"}:
            by_licence.setdefault(licence, []).append(package.name)
    for licence, names in sorted(by_licence.items()):
        print(f"{licence:14} {', '.join(dict.fromkeys(names))}")
    refused = sorted(by_licence.keys() - ALLOWED)
    for licence in refused:
        print(f"licences: {', '.join(by_licence[licence])}: {licence} is not allowed; see scripts/release/licences.py")
    print(f"{len(found)} packages, {len(by_licence)} licences, {len(refused)} refused")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
