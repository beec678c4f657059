"""Print the bill of materials of this interpreter's environment: CycloneDX 1.6, as JSON.

    python tools/sbom.py [--timestamp SECONDS]

It names every Python distribution that can be imported here with its dependencies, the interpreter, and the Debian or
Ubuntu packages of the system below where there are any. hexgate is what it is the bill of. The same environment and
timestamp (seconds since 1970) give the same bytes. Specification: https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import uuid
from datetime import datetime, timezone
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

DPKG_STATUS = Path("/var/lib/dpkg/status")
OS_RELEASE = Path("/etc/os-release")
SUBJECT = canonicalize_name("hexgate")
_LONGEST_LICENSE_NAME = 100


def bill(timestamp: int) -> dict[str, Any]:
    """The whole bill of materials.

    Raises:
        SystemExit: if hexgate is not installed here.
    """
    found = {canonicalize_name(one.metadata["Name"]): one for one in distributions()}
    if SUBJECT not in found:
        raise SystemExit(f"{SUBJECT} is not installed for {sys.executable}")
    components = [
        *(_distribution(name, one) for name, one in sorted(found.items()) if name != SUBJECT),
        _interpreter(),
        *_system_packages(),
    ]
    body: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(timestamp, timezone.utc).isoformat().replace("+00:00", "Z"),
            "tools": {"components": [{"type": "application", "name": "hexgate tools/sbom.py"}]},
            "component": _distribution(SUBJECT, found[SUBJECT]) | {"type": "application"},
        },
        "components": components,
        "dependencies": _dependencies(found),
    }
    content = json.dumps(body, sort_keys=True)
    return body | {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}"}


def _distribution(name: str, one: Distribution) -> dict[str, Any]:
    component = {
        "type": "library",
        "bom-ref": _purl(name, one),
        "name": name,
        "version": one.version,
        "purl": _purl(name, one),
    }
    licenses = _licenses(one)
    return component | ({"licenses": licenses} if licenses else {})


def _purl(name: str, one: Distribution) -> str:
    return f"pkg:pypi/{name}@{quote(one.version)}"


def _licenses(one: Distribution) -> list[dict[str, Any]]:
    """What the distribution says of its license: an SPDX expression where it has one, else its own words."""
    metadata = one.metadata
    if metadata["License-Expression"]:
        return [{"expression": metadata["License-Expression"]}]
    said = (metadata["License"] or "").strip()
    if said and "\n" not in said and len(said) <= _LONGEST_LICENSE_NAME:
        return [{"license": {"name": said}}]
    classified = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License :: ")
    ]
    return [{"license": {"name": name}} for name in classified]


def _dependencies(found: dict[NormalizedName, Distribution]) -> list[dict[str, Any]]:
    requirements = {name: [Requirement(line) for line in one.requires or []] for name, one in found.items()}
    extras: dict[NormalizedName, set[str]] = {name: {""} for name in found}
    edges: dict[NormalizedName, set[NormalizedName]] = {name: set() for name in found}
    # An extra that one asks of another may bring requirements that ask for more.
    before = -1
    while before != (before := sum(map(len, extras.values())) + sum(map(len, edges.values()))):
        for name, lines in requirements.items():
            for one in lines:
                needed = canonicalize_name(one.name)
                asked = one.marker is None or any(one.marker.evaluate({"extra": e}) for e in extras[name])
                if asked and needed in found:
                    edges[name].add(needed)
                    extras[needed] |= one.extras
    return [
        {
            "ref": _purl(name, found[name]),
            "dependsOn": [_purl(needed, found[needed]) for needed in sorted(edges[name])],
        }
        for name in sorted(found)
    ]


def _interpreter() -> dict[str, Any]:
    purl = f"pkg:generic/python@{platform.python_version()}"
    return {
        "type": "platform",
        "bom-ref": purl,
        "name": platform.python_implementation(),
        "version": platform.python_version(),
        "purl": purl,
    }


def _system_packages() -> list[dict[str, Any]]:
    if not (DPKG_STATUS.is_file() and OS_RELEASE.is_file()):
        return []
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', OS_RELEASE.read_text("utf-8"), re.MULTILINE))
    vendor, number = release.get("ID", "debian"), release.get("VERSION_ID", "")
    found = []
    for entry in DPKG_STATUS.read_text("utf-8").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.+)$", entry, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = (
                f"pkg:deb/{vendor}/{quote(name, safe='')}@{quote(version, safe='')}"
                f"?arch={fields['Architecture']}&distro={vendor}-{number}"
            )
            found.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return sorted(found, key=lambda one: one["bom-ref"])


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--timestamp", type=int, default=0, help="when it was made; 0 unless told")
    json.dump(bill(parser.parse_args().timestamp), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
