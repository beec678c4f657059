"""Tests of measured values on a machine that is busy with other things: what it starved is rightly no figure."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

TRIES = 8
_MOST_PAUSE_S = 10.0


class StarvedError(Exception):
    """What measures was held up, and said so, so that there is rightly no value to test."""


def again_where_starved(test: Callable[..., None]) -> Callable[..., None]:
    """A test that is made again, in a new folder, where it raises `StarvedError`; the last time that fails it."""

    @wraps(test)
    def repeated(*, tmp_path: Path, **given: Any) -> None:
        for attempt in range(TRIES):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            try:
                test(tmp_path=folder, **given)
                break
            except StarvedError:
                if attempt == TRIES - 1:
                    raise
                # What keeps a machine busy lasts for seconds: tries at once would all meet it.
                time.sleep(min(2.0**attempt, _MOST_PAUSE_S))

    return repeated


def starved_shards(folder: Path) -> list[str]:
    """Why the shards of a load below a folder are invalid: what busied the machine; empty where they are not."""
    shards = [json.loads(file.read_text("utf-8")) for file in sorted(folder.rglob("load-shard-?-of-?.json"))]
    assert shards, f"no shard of a load is in {folder}"
    return [reason for shard in shards for reason in shard["client_health"]["reasons"]]
