"""Build `lexicon_terms.json` from a plain list of terms that stays on your machine.

    python -m hexgate.scorers.lexicon_build my-terms.txt

adds the list to the terms that are there; ``--replace`` starts from none. One term a line, ``language category strength
term``; brackets hold alternatives, nothing among them; ``#`` begins a comment::

    en insult 1 silly goose[,s]
    zh insult 1 [example,other example]
    zh allow - a harmless compound that holds a term

Categories are insult, threat, identity, profanity and sexual; strengths 1 (mild), 2 (strong) and 3 (severe).
English terms have 1 to 4 words, Chinese ones 2 to 6 characters (harmless compounds up to 8). Terms are normalised
like the replies that they are looked for in, so that one spelling is enough. Keep the list where it is not committed.
"""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import click

from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.errors import DataError, HexgateError
from hexgate.scorers.lexicon import MAX_ALLOWED, MAX_HAN, MAX_WORDS, TERMS_FILE, term_hash
from hexgate.scorers.normalise import HAN, fold

__all__ = ["build", "main"]

CATEGORIES = ("insult", "threat", "identity", "profanity", "sexual")

_NOTICE = (
    "Salted, truncated SHA-256 digests of normalised offensive terms, so that no readable slur stands here. "
    "Made by hexgate.scorers.lexicon_build, whose docstring says how to extend it."
)
_ALTERNATIVES = re.compile(r"\[([^\]]*)\]")
_ENGLISH = re.compile(rf"[a-z0-9]+(?: [a-z0-9]+){{0,{MAX_WORDS - 1}}}")
_CHINESE = re.compile(rf"[{HAN}][{HAN}a-z0-9]{{1,{MAX_HAN - 1}}}")
_ALLOWED = re.compile(rf"[{HAN}][{HAN}a-z0-9]{{1,{MAX_ALLOWED - 1}}}")


def build(plain: str, where: str, existing: dict[str, Any] | None = None) -> dict[str, Any]:
    """The terms file's content: what exists, and the terms of a plain list.

    Args:
        plain: the list's text.
        where: its name, for messages.
        existing: the content of the file so far, or None to start from nothing.

    Raises:
        DataError: at the first line that is no term, with its number.
    """
    languages: dict[str, dict[str, Any]] = {}
    for language in ("en", "zh"):
        old = (existing or {}).get("languages", {}).get(language, {})
        languages[language] = {
            "terms": {key: set(hashes) for key, hashes in old.get("terms", {}).items()},
            "heads": set(old.get("heads", ())),
            "allowed": set(old.get("allowed", ())),
        }
    for number, line in enumerate(plain.splitlines(), start=1):
        content = line.partition("#")[0].split(maxsplit=3)
        if content:
            _add(languages, content, f"{where}:{number}")
    return {
        "notice": _NOTICE,
        "version": str(int((existing or {}).get("version", "0")) + 1),
        "languages": {
            language: {
                "terms": {key: sorted(hashes) for key, hashes in sorted(part["terms"].items())},
                "heads": sorted(part["heads"]),
                "allowed": sorted(part["allowed"]),
            }
            for language, part in languages.items()
        },
    }


def _add(languages: dict[str, dict[str, Any]], content: list[str], where: str) -> None:
    if len(content) != 4 or content[0] not in languages:
        raise DataError("not a term", where=where, expected="'en' or 'zh', category, strength, term")
    language, category, strength, pattern = content
    allowed = category == "allow" and language == "zh" and strength == "-"
    if not allowed and (category not in CATEGORIES or strength not in {"1", "2", "3"}):
        raise DataError(
            "no such category or strength",
            where=where,
            got=f"{category} {strength}",
            expected=f"one of {', '.join(CATEGORIES)} and 1 to 3, or 'zh allow -'",
        )
    part = languages[language]
    shape = _ENGLISH if language == "en" else _ALLOWED if allowed else _CHINESE
    for term in map(fold, _expanded(pattern)):
        if shape.fullmatch(term) is None:
            raise DataError(
                "the term is too long, too short or holds other characters",
                where=where,
                expected=f"1 to {MAX_WORDS} English words, or 2 to {MAX_HAN} Chinese characters",
            )
        if allowed:
            part["allowed"].add(term_hash(term))
            continue
        part["terms"].setdefault(f"{category}:{strength}", set()).add(term_hash(term))
        if language == "zh":
            part["heads"].add(term_hash(term[:2]))
        elif " " in term:
            part["heads"].add(term_hash(term.partition(" ")[0]))


def _expanded(pattern: str) -> list[str]:
    pieces = _ALTERNATIVES.split(pattern)
    choices = [piece.split(",") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    return [" ".join("".join(choice).split()) for choice in product(*choices)]


@click.command(help="Add the terms of a plain LIST to the lexicon, as digests.")
@click.argument("plain", metavar="LIST", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Start from no terms instead of those that are there.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(__file__).with_name(TERMS_FILE),
    show_default="the file beside this module",
    help="The terms file.",
)
def main(plain: Path, replace: bool, out: Path) -> None:
    """Write the terms file and say how many terms it holds."""
    try:
        existing = parse_strict(out.read_bytes()) if out.exists() and not replace else None
        document = build(plain.read_text(encoding="utf-8"), str(plain), existing)
    except (HexgateError, NotStrictJson, UnicodeDecodeError) as error:
        raise click.ClickException(str(error)) from None
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    counts = ", ".join(
        f"{language} {sum(map(len, part['terms'].values()))}"
        for language, part in document["languages"].items()
    )
    click.echo(f"{out}: {counts} terms", err=True)


if __name__ == "__main__":
    main()
