"""Make the parts of the docs that are made: ``docs/artifacts.md`` from the schemas, and every sample output.

    python tools/build_docs.py             write the reference, and run the commands marked `produced`
    python tools/build_docs.py --capture   also those marked `captured`, whose output differs from run to run
    python tools/build_docs.py --check     exit 1 if a committed file is not what the sources make

A sample stands between ``<!-- produced: COMMAND -->`` (or ``captured``) and ``<!-- end -->``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from hexgate.contract.schema import indicators, load_schema

ROOT = Path(__file__).resolve().parents[1]
ENVELOPE = (
    "status",
    "invalid_reasons",
    "counts",
    "intervals",
    "missing",
    "cannot_certify",
    "evidence",
    "trust",
)
BLOCKS = ("subject", "dataset", "method", "environment", "resources", "provenance", "interval")
ARTIFACTS = """Made from `schemas/` by `python tools/build_docs.py`; do not edit.

Each indicator leaves one JSON file and, beside it, the evidence that its figures were computed from. The schemas are
JSON Schema 2020-12, each file whole, so that any validator can use them.

Ratios are 0 to 1, units stand in the names, nothing is rounded. A measure that could not be taken is `null`, with its
reason in `missing`; it is never 0."""
SAMPLE = re.compile(r"<!-- (produced|captured): (.+?) -->\n.*?<!-- end -->", re.DOTALL)


def artifacts_page() -> str:
    """The reference of all artifacts, in Markdown."""
    lines = ["# Artifacts", "", ARTIFACTS]
    for name in indicators():
        schema = load_schema(name)
        lines += ["", f"## {name}", "", f"{schema['title']}. {schema['description']}", ""]
        lines += ["| key | unit | better | what it is |", "| --- | --- | --- | --- |"]
        for key in schema["x-own"]:
            spec = schema["properties"][key]
            unit, better = spec.get("x-unit", ""), spec.get("x-better", "")
            lines.append(f"| `{key}` | {unit} | {better} | {_words(schema, spec)} |")
        lines += ["", "What must hold, or the artifact is refused:", ""]
        lines += [f"- `{identity}`" for identity in schema["x-identities"]]
    shared = load_schema(indicators()[0])
    lines += ["", "## What every artifact has", "", "| key | what it is |", "| --- | --- |"]
    lines += [f"| `{key}` | {_words(shared, shared['properties'][key])} |" for key in ENVELOPE]
    for key in BLOCKS:
        block = shared["$defs"][key]
        lines += ["", f"### {key}", "", block["description"], "", "| key | what it is |", "| --- | --- |"]
        lines += [f"| `{inner}` | {_words(shared, spec)} |" for inner, spec in block["properties"].items()]
    return "\n".join(lines) + "\n"


def _words(schema: dict[str, Any], spec: dict[str, Any]) -> str:
    if "description" not in spec and "$ref" in spec:
        spec = schema["$defs"][spec["$ref"].rpartition("/")[2]]
    kind = spec.get("type", "")
    return str(spec.get("description") or (kind if isinstance(kind, str) else " or ".join(kind)))


def with_samples(text: str, kinds: set[str]) -> str:
    """A page with the samples of these kinds made again."""

    def sample(match: re.Match[str]) -> str:
        kind, command = match.groups()
        if kind not in kinds:
            return match[0]
        return f"<!-- {kind}: {command} -->\n```text\n{_output(command)}\n```\n<!-- end -->"

    return SAMPLE.sub(sample, text)


def _output(command: str) -> str:
    program, *arguments = shlex.split(command)
    if program != "hexgate":
        raise SystemExit(f"a sample runs hexgate, not {program}")
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "hexgate", *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "100", "HEXGATE_LANG": "en", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.stdout.replace(f"{ROOT}{os.sep}", "").rstrip()


def pages() -> list[Path]:
    """Every page that may hold samples."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    kinds = {"produced", "captured"} if "--capture" in arguments else {"produced"}
    reference = ROOT / "docs" / "artifacts.md"
    made = {reference: artifacts_page()}
    made |= {path: with_samples(path.read_text("utf-8"), kinds) for path in pages() if path != reference}
    stale = [path for path, text in made.items() if not path.is_file() or path.read_text("utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(
                f"{path.relative_to(ROOT)} is not what its sources make; run python tools/build_docs.py\n"
            )
        return 1 if stale else 0
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
