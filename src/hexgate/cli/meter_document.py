"""The document of one metered command, ``hexgate/meter/1.0``: what was recorded, and the figures made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from signal import Signals
from typing import Any

from hexgate import __version__
from hexgate.cli.meter_record import IMPORTED, STEM, Recording, read_rows, unread
from hexgate.contract.artifact import write_atomically
from hexgate.contract.canonical import NotStrictJson, canonical_bytes, parse_strict, sha256_file
from hexgate.contract.provenance import environment, redacted, utc_now
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import EvidenceError
from hexgate.meters.base import Domain
from hexgate.meters.held import Ended
from hexgate.meters.imported import Anchor
from hexgate.meters.measure import Recorded, Usage, Windows, figures
from hexgate.meters.rows import POWER, RESOURCES, failed_reads, traces

__all__ = ["NAME", "checked_bytes", "document_of", "keep", "new_document", "read_kept"]

Json = dict[str, Any]

SCHEMA = "hexgate/meter/1.0"
NAME = f"{STEM}.json"
"""The document's name in a folder that is kept."""
_FILES = {"resources": RESOURCES, "power": POWER, "imported": IMPORTED}


def new_document(recording: Recording, command: Sequence[str], ended: Ended, run_id: str) -> Json:
    """The document of a command that has just ended."""
    head = {
        "schema": SCHEMA,
        "run_id": run_id,
        "created_at": utc_now(),
        "tool": f"hexgate {__version__}",
        "command": [_printable(word) for word in redacted(command)],
        "exit_code": ended.returncode if ended.returncode >= 0 else 128 - ended.returncode,
        "signal": None if ended.returncode >= 0 else _name_of(-ended.returncode),
        "environment": environment(),
    }
    return document_of(recording, head)


def document_of(recording: Recording, head: Mapping[str, Any]) -> Json:
    """The document of a recording; what is not computed from it is taken from `head`."""
    recorded = recording.recorded
    found = figures(recorded)
    failure = None if recording.imported is None else recording.imported["failure"]
    if failure is not None:
        found["missing"]["imported"] = failure
    own = ("schema", "run_id", "created_at", "tool", "command", "exit_code", "signal")
    return {
        **{name: head[name] for name in own},
        **found,
        "recorded": {
            "windows": recorded.windows.to_json(),
            "running_ns": recorded.running_ns,
            "usage": asdict(recorded.usage),
            "domains": [domain.to_json() for domain in recorded.domains],
            "gpus": [domain.to_json() for domain in recorded.gpus],
            "lack": recorded.lack,
            "watts_per_core": recorded.watts_per_core,
            "imported": recording.imported,
            "begin": asdict(recording.begin),
            "end": asdict(recording.end),
            "sampler": recording.sampler,
        },
        "files": head.get("files"),
        "environment": head["environment"],
    }


def keep(document: Json, recording: Recording, folder: Path) -> Json:
    """Leave the document in the folder of its rows, with the digest of each file; returns it.

    Raises:
        OSError: if the disk does not take it.
        EvidenceError: as `checked_bytes` does.
    """
    imported = {
        name: trace for name, trace in recording.recorded.traces.items() if name.startswith("imported:")
    }
    if imported:
        rows = (
            canonical_bytes({"t_ns": t_ns, "domain": name, "value": value}) + b"\n"
            for name, trace in imported.items()
            for t_ns, value in trace
        )
        write_atomically(folder / f"{STEM}.{IMPORTED}", b"".join(rows))
    files = {}
    for name, ending in _FILES.items():
        path = folder / f"{STEM}.{ending}"
        if path.is_file() and (name != "imported" or imported):
            with path.open("rb") as file:
                count = sum(1 for _ in file)
            files[name] = {"path": path.name, "sha256": sha256_file(path), "rows": count}
    document = {**document, "files": files}
    write_atomically(folder / NAME, checked_bytes(document))
    return document


def checked_bytes(document: Json) -> bytes:
    """The bytes of the document's file.

    Raises:
        EvidenceError: if it is not what its schema says, which would be a fault of ours.
    """
    mistakes = schema_mistakes("meter", document)
    if mistakes:
        raise EvidenceError("the document is not what its schema says", got="; ".join(mistakes[:3]))
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def read_kept(folder: Path) -> tuple[Json, Recording]:
    """The document in a folder and the recording that it was made from, files and digests checked.

    Raises:
        EvidenceError: if one of them is absent, broken or not the one that the document names.
    """
    path = folder / NAME
    try:
        document = parse_strict(path.read_bytes())
    except OSError as error:
        raise EvidenceError(
            f"the kept document cannot be read ({error.strerror})",
            where=str(path),
            hint="give the folder that hexgate meter --keep wrote",
        ) from None
    except NotStrictJson as error:
        raise EvidenceError(f"not JSON ({error})", where=str(path)) from None
    mistakes = schema_mistakes("meter", document)
    if mistakes:
        raise EvidenceError("the kept document is not one of a command", where=str(path), got=mistakes[0])
    rows = {name: _checked_rows(folder, entry) for name, entry in (document["files"] or {}).items()}
    try:
        return document, _recording(document["recorded"], rows)
    except (KeyError, TypeError, ValueError) as error:
        what = "the kept document is not one of a command"
        raise EvidenceError(what, where=str(path), got=f"{type(error).__name__}: {error}") from None


def _recording(block: Mapping[str, Any], rows: Mapping[str, list[Json]]) -> Recording:
    domains = [Domain.from_json(one) for one in block["domains"]]
    recorded = Recorded(
        windows=Windows.from_json(block["windows"]),
        running_ns=block["running_ns"],
        usage=Usage(**block["usage"]),
        domains=domains,
        traces=traces([*rows.get("power", ()), *rows.get("imported", ())]),
        failed=failed_reads(rows.get("power", ())),
        resources=rows.get("resources", []),
        gpus=[Domain.from_json(one) for one in block["gpus"]],
        lack=block["lack"],
        watts_per_core=block["watts_per_core"],
        unavailable=unread(block["sampler"], domains),
    )
    begin, end = Anchor(**block["begin"]), Anchor(**block["end"])
    return Recording(recorded, begin, end, block["sampler"], block["imported"])


def _checked_rows(folder: Path, entry: Mapping[str, Any]) -> list[Json]:
    path = folder / Path(entry["path"]).name
    try:
        if sha256_file(path) != entry["sha256"]:
            raise EvidenceError("the file is not the one that the figures were made from", where=str(path))
        return read_rows(path)
    except OSError as error:
        raise EvidenceError(f"it cannot be read ({error.strerror})", where=str(path)) from None
    except ValueError as error:
        raise EvidenceError(f"a row is not JSON ({error})", where=str(path)) from None


def _name_of(signal: int) -> str:
    try:
        return Signals(signal).name
    except ValueError:
        return f"signal {signal}"


def _printable(word: str) -> str:
    """An argument as text: bytes that are no text are written as their codes."""
    return word.encode("utf-8", "backslashreplace").decode("utf-8")
