"""Make ``schemas/<indicator>.schema.json`` from ``schemas/parts/``: each whole, for any validator.

python tools/build_schemas.py            write the files
python tools/build_schemas.py --check    exit 1 if a committed file is not what the parts make
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"
VERSION = "1.0"


def build(indicator: str) -> dict[str, Any]:
    """The whole schema of one indicator: the common envelope and its own measures, in one object."""
    envelope = json.loads((SCHEMAS / "parts" / "envelope.json").read_text("utf-8"))
    part = json.loads((SCHEMAS / "parts" / f"{indicator}.json").read_text("utf-8"))
    common: dict[str, Any] = envelope["properties"]
    major = VERSION.partition(".")[0]
    common["schema"] |= {"pattern": rf"^hexgate/{indicator}/{major}\.[0-9]+$"}
    common["indicator"] |= {"const": indicator}
    head = {name: common.pop(name) for name in ("schema", "indicator")}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:hexgate:{indicator}:{VERSION}",
        "title": part["title"],
        "description": part["description"],
        "type": "object",
        "properties": head | part["properties"] | common,
        "required": [
            *head,
            *part["properties"],
            *(name for name in envelope["required"] if name not in head),
        ],
        "additionalProperties": False,
        "x-version": VERSION,
        "x-headline": part["x-headline"],
        "x-own": list(part["properties"]),
        "x-evidence": part["x-evidence"],
        "x-identities": part["x-identities"],
        "$defs": part.get("$defs", {}) | envelope["$defs"],
    }


def main(arguments: list[str]) -> int:
    """Write all schemas, or check them."""
    stale = []
    for part in sorted((SCHEMAS / "parts").glob("*.json")):
        if part.stem == "envelope":
            continue
        path = SCHEMAS / f"{part.stem}.schema.json"
        text = json.dumps(build(part.stem), indent=2, ensure_ascii=False) + "\n"
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text("utf-8") != text:
            stale.append(path.name)
    if stale:
        sys.stderr.write(
            f"not what schemas/parts make: {', '.join(stale)}; run python tools/build_schemas.py\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
