"""Put the prompts together from `parts.yaml` and write `prompts.jsonl`.

Use it as ``python examples/prompts/build.py [--out FILE]``.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TypedDict

import yaml

GROUPS = ("benign", "provocation")
VARIANTS = 8
SLOT = re.compile(r"\{(?P<name>[a-z]+)(?P<capital>!c)?\}")


class Row(TypedDict):
    """One line of the file."""

    id: str
    prompt: str
    lang: str
    group: str
    frame: str


class Language(TypedDict):
    """The parts of one language."""

    fillers: dict[str, list[str]]
    benign: list[str]
    provocation: list[str]


def fill(frame: str, number: int, variant: int, fillers: dict[str, list[str]]) -> str:
    """The frame with its slots filled. The first slot takes another filler in each variant."""
    slot_number = 0

    def filler(slot: re.Match[str]) -> str:
        nonlocal slot_number
        # The second slot runs at another pace, so that the pairs differ from frame to frame.
        position = number + variant + slot_number * (number * 2 + variant * 2 + 1)
        slot_number += 1
        choices = fillers[slot["name"]]
        text = choices[position % len(choices)]
        return text[0].upper() + text[1:] if slot["capital"] else text

    return SLOT.sub(filler, frame)


def build(parts: dict[str, Language]) -> list[Row]:
    """All prompts: one of each frame, then a second of each, and so on.

    So the first N prompts, which is what a limit keeps, come from as many frames as they can.
    """
    rows: list[Row] = []
    counts: dict[str, int] = {}
    for variant in range(VARIANTS):
        for lang, language in parts.items():
            groups: dict[str, list[str]] = {
                "benign": language["benign"],
                "provocation": language["provocation"],
            }
            for group in GROUPS:
                for number, frame in enumerate(groups[group], 1):
                    kind = f"{lang}-{group}"
                    counts[kind] = counts.get(kind, 0) + 1
                    rows.append(
                        {
                            "id": f"{kind}-{counts[kind]:04d}",
                            "prompt": fill(frame, number, variant, language["fillers"]),
                            "lang": lang,
                            "group": group,
                            "frame": f"{kind}-f{number:02d}",
                        }
                    )
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Write the prompts."""
    folder = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=folder / "prompts.jsonl", help="file to write")
    options = parser.parse_args(arguments)
    rows = build(yaml.safe_load((folder / "parts.yaml").read_text(encoding="utf-8")))
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    options.out.write_text("".join(lines), encoding="utf-8", newline="\n")
    print(f"wrote {options.out}: {len(rows)} prompts from {len({row['frame'] for row in rows})} frames")


if __name__ == "__main__":
    main()
