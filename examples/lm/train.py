"""Count the n-grams of `corpus.txt` and write `lm.json`.

python examples/lm/train.py [--out FILE]
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from pathlib import Path

from hexgate.contract.canonical import canonical_bytes
from hexgate.reference.language_model import END, SCHEMA, sentence_start, tokenize

HEADING = re.compile(r"\[(?P<language>en|zh) (?P<topic>[a-z]+)\s*\|(?P<words>.*)\]")


def count(corpus: str) -> dict[str, object]:
    """The model of a corpus: headings ``[language topic | words]``, and under each its sentences."""
    topics: dict[str, dict[str, list[str]]] = {"en": {}, "zh": {}}
    trigrams: defaultdict[str, defaultdict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    start: tuple[str, str] | None = None
    for number, line in enumerate(corpus.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            heading = HEADING.fullmatch(line)
            if heading is None:
                raise SystemExit(f"corpus.txt line {number}: not a heading: {line}")
            language, topic = heading["language"], heading["topic"]
            topics[language][topic] = sorted(set(heading["words"].split()))
            start = sentence_start(language, topic)
            continue
        if start is None:
            raise SystemExit(f"corpus.txt line {number}: a sentence before the first heading")
        tokens = [*start, *tokenize(line), END]
        for index in range(2, len(tokens)):
            trigrams[start[1]][f"{tokens[index - 2]} {tokens[index - 1]}"][tokens[index]] += 1
    return {
        "schema": SCHEMA,
        "name": "hexgate-demo-lm",
        "revision": "1",
        "demonstration": True,
        "order": 3,
        "topics": topics,
        "trigrams": trigrams,
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the model."""
    folder = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=folder / "lm.json", help="file to write")
    options = parser.parse_args(arguments)
    model = count((folder / "corpus.txt").read_text(encoding="utf-8"))
    options.out.write_bytes(canonical_bytes(model) + b"\n")
    print(f"wrote {options.out}, {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
