"""The docs hold: links lead somewhere, commands and flags exist, measures and numbers are those of the code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from hexgate.contract.schema import indicators, load_schema, measures
from hexgate.stats.planning import (
    n_for_paired_drop,
    n_for_percentile,
    n_for_proportion_margin,
    n_for_ratio_below,
)

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
INDICATOR_PAGES = sorted((ROOT / "docs" / "indicators").glob("*.md"))

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?:\S*/)?(?:hexgate|python[0-9.]* (?:tools|scripts)/\S+\.py) ")
_TICKED = re.compile(r"`([^`\n]+)`")
_UNIT_SUFFIX = re.compile(r"[a-z][a-z0-9_]*_(?:ms|rps|j|w|s|ratio|joule|per_s|count|rate)")


def _ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as repository hosts make them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        found.add(plain.replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_internal_links_lead_somewhere(page: Path) -> None:
    broken = []
    for one, other in _LINK.findall(_prose(page)):
        link = one or other
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def _command_lines(page: Path) -> list[list[str]]:
    """Every command of ours that a page shows, in code blocks and between ticks, as words."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    fenced = "\n".join(_FENCE.findall(text))
    lines = re.findall(r"^(?:\$ )?(.+)$", fenced, re.MULTILINE)
    lines += re.findall(r"^ {4}(?:\$ )?(.+)$", _FENCE.sub("", text), re.MULTILINE)
    lines += _TICKED.findall(_FENCE.sub("", text))
    commands = [line.replace("…", "") for line in lines if _COMMAND.match(line)]
    return [shlex.split(line, comments=True) for line in commands]


def _group() -> click.Group:
    from hexgate import cli

    return cli._group()


def _click_words(words: list[str]) -> list[str]:
    """The words of a command as `hexgate` would get them; a script's as `run`."""
    if words[0].endswith("hexgate"):
        return words[1:]
    script = ROOT / words[1]
    assert script.is_file(), f"there is no {words[1]}"
    return (
        ["run", *words[2:]] if script.parts[-2] in {"eval", "bench"} or script.name == "run_eval.py" else []
    )


def _flags_of(command: click.Command) -> set[str]:
    return {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}


def _found(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, in a group or not, and what follows; a word that names none stays in front."""
    command: click.Command = _group()
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(click.Context(command), words[0])
        if inner is None:
            break
        command, words = inner, words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_commands_and_flags_exist(page: Path) -> None:
    wrong = []
    for line in _command_lines(page):
        command, rest = _found(_click_words(line))
        if isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            wrong.append(f"{' '.join(line)}: no command {rest[0]}")
            continue
        # What stands behind -- is another command.
        own = rest[: rest.index("--")] if "--" in rest else rest
        flags = {word.partition("=")[0] for word in own if word.startswith("--")}
        unknown = flags - _flags_of(command) - {"--lang"}
        wrong += [f"{' '.join(line)}: no flag {flag}" for flag in sorted(unknown)]
    assert wrong == []


def test_the_pages_show_commands_at_all() -> None:
    assert sum(len(_command_lines(page)) for page in PAGES) > 20


def _all_flags(command: click.Command) -> set[str]:
    found = _flags_of(command)
    if isinstance(command, click.Group):
        context = click.Context(command)
        inner = (command.get_command(context, name) for name in command.list_commands(context))
        found |= {flag for one in inner if one is not None for flag in _all_flags(one)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_single_flags_between_ticks_exist(page: Path) -> None:
    known = {"--lang"} | _all_flags(_group())
    named = {word for text in _TICKED.findall(_prose(page)) for word in re.findall(r"^--[a-z0-9-]+", text)}
    assert named - known == set()


def test_there_is_a_page_for_each_indicator() -> None:
    assert {page.stem for page in INDICATOR_PAGES} == set(indicators())


@pytest.mark.parametrize("page", INDICATOR_PAGES, ids=_ids)
def test_measures_with_a_unit_are_in_the_schema(page: Path) -> None:
    text = page.read_text("utf-8").partition("\n## Evidence")[0]
    own = set(load_schema(page.stem)["x-own"])
    # Parameters of the method, keys of a policy and columns of evidence look like measures, and are none.
    others = {"max_error_ratio"}
    named = {word for word in _TICKED.findall(text) if _UNIT_SUFFIX.fullmatch(word)}
    assert named - own - others == set()
    assert named, "the page names no measure"


@pytest.mark.parametrize("page", INDICATOR_PAGES, ids=_ids)
def test_the_options_of_an_indicator_stand_on_its_page_with_their_defaults(page: Path) -> None:
    from dataclasses import fields

    from hexgate.indicators import indicator

    rows = dict(re.findall(r"^\| `(--[a-z0-9-]+)` \| (.+?) \|", page.read_text("utf-8"), re.MULTILINE))
    for one in fields(indicator(page.stem).options):
        flag = one.metadata["flag"] or f"--{one.name.replace('_', '-')}"
        assert flag in rows, f"{flag} is not on the page"
        shown = rows[flag].strip("`")
        if isinstance(one.default, (int, float)):
            assert float(shown) == float(one.default), flag
        elif one.default is not None:
            assert shown == one.default, flag


@pytest.mark.parametrize("page", INDICATOR_PAGES, ids=_ids)
def test_units_that_a_page_states_are_those_of_the_schema(page: Path) -> None:
    known = measures(page.stem)
    stated = re.findall(r"^\| `([a-z0-9_]+)` \((\w+)\) \|", page.read_text("utf-8"), re.MULTILINE)
    assert {name: unit for name, unit in stated if known[name].unit != unit} == {}


def _blocks(page: Path, mark: str) -> list[tuple[str, str]]:
    text = page.read_text("utf-8")
    return re.findall(rf"<!-- {mark}: (.+?) -->\n+(?:```\w*\n)?(.*?)(?:\n```|\n\n)", text, re.DOTALL)


def test_what_is_made_from_sources_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "tools/build_docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def _table(text: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [[cell.replace(",", "") for cell in row] for row in rows if not set(row[0]) <= {"-", " "}]


def test_planning_tables_are_what_the_code_gives() -> None:
    found = dict(_blocks(ROOT / "docs" / "statistics.md", "table"))
    made: dict[str, Any] = {
        "n_for_ratio_below": lambda row, column: n_for_ratio_below(row, observed_events=int(column)),
        "n_for_percentile": lambda row, column: n_for_percentile(row, over_limit=int(column)),
        "n_for_proportion_margin": lambda row, _: n_for_proportion_margin(0.75, row),
        "n_for_paired_drop": lambda row, column: n_for_paired_drop(row, discordant=column / 100),
    }
    assert found.keys() == made.keys()
    for name, text in found.items():
        head, *rows = _table(text)
        columns = [float(number[0]) if (number := re.findall(r"\d+", cell)) else 0.0 for cell in head[1:]]
        for row in rows:
            for column, cell in zip(columns, row[1:], strict=True):
                assert int(cell) == made[name](float(row[0]), column), (name, row[0], column)


@pytest.mark.parametrize("page", ["docs/gate.md", "docs/zh/guide.md"])
def test_the_example_policy_is_taken_from_the_one_in_ci(page: str) -> None:
    policy = yaml.safe_load((ROOT / "ci" / "policy.yaml").read_text("utf-8"))
    text = (ROOT / page).read_text("utf-8")
    example = yaml.safe_load(next(re.finditer(r"```yaml\n(version: 1\n.*?)```", text, re.DOTALL))[1])
    rules = {rule["indicator"]: rule for rule in policy["rules"]}
    for rule in example.pop("rules"):
        assert rule.items() <= rules[rule["indicator"]].items()
    assert {key: policy[key] for key in example} == example


def test_every_key_of_a_policy_is_in_the_reference() -> None:
    schema = load_schema("policy")
    keys = {
        *schema["properties"],
        *schema["properties"]["evidence"]["properties"],
        *schema["properties"]["expect"]["properties"],
        *schema["$defs"]["rule"]["properties"],
        *schema["$defs"]["rule"]["properties"]["baseline"]["properties"],
        *schema["$defs"]["waiver"]["properties"],
    }
    text = (ROOT / "docs" / "gate.md").read_text("utf-8")
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()


def test_every_key_of_a_card_is_in_the_reference() -> None:
    from hexgate.targets.card import _KINDS

    named = set(_TICKED.findall((ROOT / "docs" / "targets.md").read_text("utf-8")))
    assert set(_KINDS) - named == set()
