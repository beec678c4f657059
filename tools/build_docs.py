"""Make the parts of the docs that are made: ``docs/artifacts.md`` from the schemas, and every sample output.

    python tools/build_docs.py             write the reference, and run the commands marked `produced`
    python tools/build_docs.py --capture   also those marked `captured`, whose output differs from run to run
    python tools/build_docs.py --check     exit 1 if a committed file is not what the sources make

A sample stands between ``<!-- produced: COMMAND -->`` (or ``captured``) and ``<!-- end -->``; what a function of this
module computes, between ``<!-- made: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.schema import indicators, load_schema
from hexgate.load.measures.dialects_of import TOOLS
from hexgate.load.measures.latencies import latencies
from hexgate.load.measures.translate import translate
from hexgate.load.plans.plan import open_loop
from hexgate.load.records import NEVER, RECORD, Records

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
MADE = re.compile(r"<!-- made: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
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


def reconciled() -> str:
    """One stream under the definitions of every tool, and under ours, as a table in Markdown."""
    lines = ["| tool | figure | formula | ms |", "| --- | --- | --- | --- |"]
    ours = latencies(Records.of(_stream()), open_loop(rate_rps=1.0, requests=1, items=1)).times
    for figure, formula, name in (
        ("TTFT, from due", "f - s", "ttft_due"),
        ("TTFT, from send", "f - t0", "ttft_sent"),
        ("TPOT", "(l - f) / (n - n1)", "tpot"),
        ("end to end, from due", "e - s", "e2e_due"),
        ("end to end, from send", "e - t0", "e2e_sent"),
    ):
        lines.append(f"| **hexgate** | {figure} | {formula} | {ours[name].mean:.4g} |")
    for name, tool in TOOLS.items():
        for one in translate(Records.of(_stream(role=name != "vllm-completions")), name).requests:
            if one.mean is not None:
                noted = f"; {one.measure.note[0]}" if one.measure.note else ""
                lines.append(
                    f"| {tool.title} | {one.measure.name} | {one.measure.formula} | {one.mean:.4g}{noted} |"
                )
    return "\n".join(lines)


def _stream(*, role: bool = True) -> NDArray[np.void]:
    """The record of the stream that ``docs/load/reconcile.md`` describes."""
    made = np.zeros(1, dtype=RECORD)
    for name in RECORD.names or ():
        if name.endswith(("_ns", "_tokens")):
            made[name] = NEVER
    sent_ms = 300
    stamps = {"due": 0, "issued": sent_ms, "sent": sent_ms, "first_event": sent_ms + (5 if role else 200)}
    stamps |= dict.fromkeys(("first_token", "first_answer"), sent_ms + 200)
    stamps |= {"last_token": sent_ms + 1200, "end": sent_ms + 1212}
    for name, at_ms in stamps.items():
        made[f"{name}_ns"] = at_ms * 1_000_000
    made["http_status"], made["events"], made["first_event_tokens"], made["output_tokens"] = 200, 98, 4, 101
    return made


MAKERS = {"reconciled": reconciled}


def with_samples(text: str, kinds: set[str]) -> str:
    """A page with the samples of these kinds made again."""

    def sample(match: re.Match[str]) -> str:
        kind, command = match.groups()
        if kind not in kinds:
            return match[0]
        return f"<!-- {kind}: {command} -->\n```text\n{_output(command)}\n```\n<!-- end -->"

    made = MADE.sub(lambda match: f"<!-- made: {match[1]} -->\n{MAKERS[match[1]]()}\n<!-- end -->", text)
    return SAMPLE.sub(sample, made)


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
