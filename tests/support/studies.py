"""Small studies for tests: their files, an Ollama that is scripted, and a counter of energy that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from support.routed_server import Reply, RoutedServer

ITEMS = (
    {
        "id": "a",
        "prompt": "Tell me about a garden.",
        "short": "Garden?",
        "reference": "It is green.",
        "kind": "x",
    },
    {
        "id": "b",
        "prompt": "Tell me about a train.",
        "short": "Train?",
        "reference": ["It runs.", "On rails."],
    },
)


def write_study(folder: Path, *, items: Sequence[Mapping[str, Any]] = ITEMS, **changes: Any) -> Path:
    """A study's file in a folder, quick unless it is changed: no idle, no quiet, no warm-up. JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    (folder / "items.jsonl").write_text(lines, encoding="utf-8")
    spec: dict[str, Any] = {
        "version": 1,
        "name": "small",
        "seed": 7,
        "models": [{"name": "m", "target": "http://127.0.0.1:9/v1", "model": "m"}],
        "tasks": [{"name": "talk", "items": "items.jsonl"}],
        "loads": [{"name": "usual"}, {"name": "short", "prompt": "short", "max_tokens": 8}],
        "request": {"max_tokens": 16, "num_ctx": 2048},
        "runs": 2,
        "warmup": 0,
        "idle_s": 0,
        "quiet": "off",
        "clean": "none",
        "timeout_s": 20,
        **changes,
    }
    path = folder / "study.yaml"
    path.write_text(
        json.dumps({key: value for key, value in spec.items() if value is not ...}), encoding="utf-8"
    )
    return path


def lines(*objects: Mapping[str, Any]) -> list[bytes]:
    """Lines of JSON, each a chunk of its own."""
    return [json.dumps(one).encode() + b"\n" for one in objects]


LAST = {
    "model": "tiny:1b",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "total_duration": 2_500_000_000,
    "load_duration": 40_000_000,
    "prompt_eval_count": 20,
    "prompt_eval_duration": 60_000_000,
    "eval_count": 4,
    "eval_duration": 400_000_000,
}
"""The last line of a reply as Ollama sends it: durations in nanoseconds."""


def said(*texts: str, last: Mapping[str, Any] = LAST, thinking: Sequence[str] = ()) -> list[bytes]:
    """A streamed chat reply."""
    thoughts = (
        {"message": {"role": "assistant", "content": "", "thinking": one}, "done": False} for one in thinking
    )
    pieces = ({"message": {"role": "assistant", "content": one}, "done": False} for one in texts)
    return lines(*thoughts, *pieces, last)


class ScriptedOllama:
    """Ollama's own API as the sources describe it, for one model ``tiny:1b``.

    `looks_until_gone`: how often /api/ps still shows the model after it was let go.
    """

    def __init__(self, chat: Callable[[dict[str, Any]], Reply] | None = None, *, port: int = 0) -> None:
        self.chat = chat or (lambda _: said("It", " is", " green", "."))
        self.loaded = False
        self.looks_until_gone = 2
        self.loaded_entry: dict[str, Any] = {
            "size": 4_000_000_000,
            "size_vram": 3_000_000_000,
            "context_length": 2048,
        }
        self.log: list[str] = []
        self._leaving = 0
        self.server = RoutedServer(
            {
                "GET /api/version": lambda _: {"version": "0.12.3"},
                "GET /api/tags": lambda _: {
                    "models": [{"name": "tiny:1b", "digest": "sha256:ab12", "size": 10}]
                },
                "GET /api/ps": self._ps,
                "POST /api/show": self._show,
                "POST /api/generate": self._generate,
                "POST /api/chat": self._chat,
            },
            port=port,
        )

    @property
    def target(self) -> str:
        return f"ollama://127.0.0.1:{self.server.port}/tiny:1b"

    def _show(self, body: dict[str, Any]) -> Reply:
        if body.get("model") != "tiny:1b":
            return 404
        return {
            "details": {"family": "llama", "parameter_size": "1.2B", "quantization_level": "Q4_K_M"},
            "model_info": {
                "general.architecture": "llama",
                "general.parameter_count": 1_235_814_432,
                "llama.context_length": 131_072,
            },
        }

    def _ps(self, _: dict[str, Any]) -> Reply:
        if self._leaving:
            self._leaving -= 1
            if not self._leaving:
                self.loaded = False
        entry = {"name": "tiny:1b", "model": "tiny:1b", **self.loaded_entry}
        return {"models": [entry] if self.loaded else []}

    def _generate(self, body: dict[str, Any]) -> Reply:
        # An empty prompt loads the model, and with keep_alive 0 lets it go; neither reply has durations.
        head = {"model": "tiny:1b", "response": "", "done": True}
        if body.get("keep_alive") == 0:
            self.log.append("unload")
            self._leaving = self.looks_until_gone if self.loaded else 0
            return {**head, "done_reason": "unload"}
        self.log.append("load")
        self.loaded = True
        return {**head, "done_reason": "load"}

    def _chat(self, body: dict[str, Any]) -> Reply:
        self.log.append("chat")
        return self.chat(body)

    def __enter__(self) -> ScriptedOllama:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.close()


_MOVING = """
import os, sys, time
began = time.monotonic()
while os.getppid() == int(sys.argv[1]):
    for counter, watts in zip(sys.argv[2::2], sys.argv[3::2]):
        with open(counter + ".new", "w", encoding="ascii") as file:
            file.write(f"{1_000_000 + round(float(watts) * (time.monotonic() - began) * 1e6)}\\n")
        os.replace(counter + ".new", counter)
    time.sleep(0.01)
"""


class RunningCounter:
    """A powercap tree each of whose packages draws constant power: a process of its own moves the counters."""

    def __init__(self, root: Path, *watts: float) -> None:
        self.root = root
        (root / "intel-rapl").mkdir(parents=True)
        moved: list[str] = []
        for place, power_w in enumerate(watts):
            zone = root / f"intel-rapl:{place}"
            zone.mkdir()
            (zone / "name").write_text(f"package-{place}\n", encoding="ascii")
            (zone / "max_energy_range_uj").write_text("262143328850\n", encoding="ascii")
            (zone / "energy_uj").write_text("1000000\n", encoding="ascii")
            moved += [str(zone / "energy_uj"), str(power_w)]
        self._process = subprocess.Popen([sys.executable, "-c", _MOVING, str(os.getpid()), *moved])

    def __enter__(self) -> RunningCounter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
