"""Runs in a store, made up of parts whose artifacts keep their contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import canonical_bytes
from hexgate.stores.file import FileStore
from hexgate.stores.parts import MANIFEST, PartHead, publish
from support.artifacts import RUN_ID
from support.gate import INDICATORS, put

SPEC = "5" * 64
IMAGE = "registry.example.com/hexgate:0.1.0"


def head(part: str = "main", **changes: Any) -> PartHead:
    """What a part of the run says of itself."""
    values = {
        "run_id": RUN_ID,
        "part": part,
        "shard": None,
        "exit_code": 0,
        "spec_sha256": SPEC,
        "image": IMAGE,
        "platform": "local",
        "platform_job_id": None,
        "started_at": "2026-11-21T02:19:51Z",
        "ended_at": "2026-11-21T02:29:51Z",
    }
    return PartHead(**values | changes)


def publish_part(
    root: Path,
    part: str = "main",
    *,
    indicators: Sequence[str] = INDICATORS,
    artifacts: Mapping[str, Any] | None = None,
    extra: Mapping[str, str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Publish a part with the artifacts of some indicators, and return its manifest.

    Args:
        root: the folder that is the store.
        part: its name.
        indicators: whose artifacts it has.
        artifacts: keys to change in each of them.
        extra: more files, by name.
        changes: what it says otherwise of itself.
    """
    folder = root.parent / "left" / f"{part}-{len(list(root.parent.glob('left/*')))}"
    folder.mkdir(parents=True)
    for indicator in indicators:
        put(folder, indicator, **artifacts or {})
    for name, text in (extra or {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    return publish(FileStore(root), folder, head(part, **changes))


def place_of(root: Path, manifest: Mapping[str, Any]) -> Path:
    """The folder of an attempt in the store."""
    return root / RUN_ID / manifest["part"] / manifest["attempt"]


def rewrite(root: Path, manifest: Mapping[str, Any], **changes: Any) -> None:
    """Change a manifest behind everybody's back."""
    path = place_of(root, manifest) / MANIFEST
    path.write_bytes(canonical_bytes(json.loads(path.read_bytes()) | changes))
