"""Make ``schemas/<indicator>.schema.json`` from ``schemas/parts/``, and those of a job and a shard from theirs.

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
        **{key: part[key] for key in ("x-evidence-of",) if key in part},
        "x-identities": part["x-identities"],
        "$defs": part.get("$defs", {}) | envelope["$defs"],
    }


def build_job() -> dict[str, Any]:
    """The whole schema of a job spec: what all platforms share, and the block of each."""
    job: dict[str, Any] = json.loads((SCHEMAS / "job" / "spec.json").read_text("utf-8"))
    for part in sorted((SCHEMAS / "job").glob("*.json")):
        if part.stem == "spec":
            continue
        job["properties"]["platform"]["properties"][part.stem] = {"$ref": f"#/$defs/{part.stem}"}
        job["$defs"][part.stem] = json.loads(part.read_text("utf-8"))
    return job


def build_shard() -> dict[str, Any]:
    """The whole schema of the document that one shard of a load leaves: its own keys, and blocks of the envelope."""
    blocks = json.loads((SCHEMAS / "parts" / "envelope.json").read_text("utf-8"))["$defs"]
    shard = json.loads((SCHEMAS / "load" / "shard.json").read_text("utf-8"))
    for unused in ("interval", "level", "movement", "resources"):
        del blocks[unused]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:hexgate:load_shard:{VERSION}",
        "title": shard["title"],
        "description": shard["description"],
        "type": "object",
        "properties": shard["properties"],
        "required": list(shard["properties"]),
        "additionalProperties": False,
        "x-version": VERSION,
        "$defs": blocks,
    }


def main(arguments: list[str]) -> int:
    """Write all schemas, or check them."""
    stale = []
    names = sorted(part.stem for part in (SCHEMAS / "parts").glob("*.json") if part.stem != "envelope")
    made = {"job": build_job(), "load_shard": build_shard()} | {name: build(name) for name in names}
    for name, schema in made.items():
        path = SCHEMAS / f"{name}.schema.json"
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
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
