"""Ask for known vulnerabilities of every package that an image locks.

    audit.py PIP_AUDIT [--strict]

pip-audit asks the Python Packaging Advisory Database through the package index. Where that index does not answer such
questions, packages stay unasked; this program says how many, and with --strict fails.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

import lock


def report(tool: str, path: str) -> list[Any]:
    """What pip-audit says of each package of a lock: name, version, and `vulns` or `skip_reason`."""
    command = [
        tool,
        "--requirement",
        path,
        "--require-hashes",
        "--disable-pip",
        "--format=json",
        "--progress-spinner=off",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[Any] = json.loads(result.stdout)["dependencies"]
    except (ValueError, KeyError):
        sys.exit(f"audit: pip-audit failed on {path}: {result.stderr.strip()[-500:]}")
    return found


def main() -> int:
    """Exit code 1 when something is vulnerable, or with --strict could not be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", help="the program pip-audit")
    parser.add_argument("--strict", action="store_true", help="fail when a package could not be asked for")
    given = parser.parse_args()
    found = {
        item["name"] + item.get("version", ""): item
        for path in lock.images().values()
        for item in report(given.tool, str(path))
    }
    unasked = [item for item in found.values() if "skip_reason" in item]
    vulnerable = [item for item in found.values() if item.get("vulns")]
    for item in vulnerable:
        told = "; ".join(
            f"{vuln['id']} (fixed in {', '.join(vuln['fix_versions']) or 'none yet'})" for vuln in item["vulns"]
        )
        print(f"audit: {item['name']} {item['version']}: {told}")
    print(f"audit: {len(found)} packages, {len(vulnerable)} vulnerable, {len(unasked)} could not be asked for")
    if unasked:
        print("audit: the package index here does not answer for those; run this where it does, as CI does")
    return 1 if vulnerable or (given.strict and unasked) else 0


if __name__ == "__main__":
    sys.exit(main())
