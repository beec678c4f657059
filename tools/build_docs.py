"""Make the parts of the docs that are made: ``docs/artifacts.md`` from the schemas.

    python tools/build_docs.py            write the files
    python tools/build_docs.py --check    exit 1 if a committed file is not what the schemas make
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hexgate.contract.schema import indicators, load_schema

DOCS = Path(__file__).resolve().parents[1] / "docs"
ENVELOPE = ("status", "invalid_reasons", "counts", "intervals", "missing", "cannot_certify", "evidence", "trust")
BLOCKS = ("subject", "dataset", "method", "environment", "resources", "provenance", "interval")


def artifacts_page() -> str:
    """The reference of all artifacts, in Markdown."""
    lines = [
        "# Artifacts",
        "",
        "Made from `schemas/` by `python tools/build_docs.py`; do not edit. Each indicator leaves one JSON file and, "
        "beside it, the evidence that its figures were computed from. The schemas are JSON Schema 2020-12, each "
        "file whole, so that any validator can use them.",
        "",
        "Ratios are 0 to 1, units stand in the names, nothing is rounded. A measure that could not be taken is "
        "`null`, with its reason in `missing`; it is never 0.",
    ]
    for name in indicators():
        schema = load_schema(name)
        lines += ["", f"## {name}", "", f"{schema['title']}. {schema['description']}", ""]
        lines += ["| key | unit | better | what it is |", "| --- | --- | --- | --- |"]
        for key in schema["x-own"]:
            spec = schema["properties"][key]
            target = spec if "description" in spec else schema["$defs"][spec["$ref"].rpartition("/")[2]]
            lines.append(
                f"| `{key}` | {spec.get('x-unit', '')} | {spec.get('x-better', '')} | {target['description']} |"
            )
        lines += ["", "What must hold, or the artifact is refused:", ""]
        lines += [f"- `{identity}`" for identity in schema["x-identities"]]
    shared = load_schema(indicators()[0])
    lines += ["", "## What every artifact has", "", "| key | what it is |", "| --- | --- |"]
    lines += [f"| `{key}` | {_described(shared, key)} |" for key in ENVELOPE]
    for key in BLOCKS:
        block = shared["$defs"][key]
        lines += ["", f"### {key}", "", block.get("description", ""), "", "| key | what it is |", "| --- | --- |"]
        for inner, spec in block["properties"].items():
            lines.append(f"| `{inner}` | {_words(shared, spec)} |")
    return "\n".join(lines) + "\n"


def _described(schema: dict[str, Any], key: str) -> str:
    return _words(schema, schema["properties"][key])


def _words(schema: dict[str, Any], spec: dict[str, Any]) -> str:
    if "description" in spec:
        return str(spec["description"])
    if "$ref" in spec:
        return str(schema["$defs"][spec["$ref"].rpartition("/")[2]].get("description", ""))
    return str(json.dumps(spec.get("type", "")).strip('"'))


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    path = DOCS / "artifacts.md"
    text = artifacts_page()
    if "--check" not in arguments:
        path.write_text(text, encoding="utf-8")
    elif not path.is_file() or path.read_text("utf-8") != text:
        sys.stderr.write(f"{path.name} is not what the schemas make; run python tools/build_docs.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
