"""What a job spec's file holds, as plain data: what JSON has, each key once, and no address with a key in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import yaml

from hexgate.stores.address import unsafe

__all__ = ["not_plain", "plain_yaml"]


class _Loader(yaml.SafeLoader):
    """YAML whose keys stand once, and in which nothing refers to anything else."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, "aliases are not part of a job spec", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            named = (str(key.tag), str(key.value))
            if named in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, "a key stands twice, and only one could count", key.start_mark
                )
            seen.add(named)
        return super().construct_mapping(node, deep)


def plain_yaml(text: str) -> Any:
    """The value of YAML or JSON.

    Raises:
        ValueError: if it is neither, with the reason and, where the parser knows it, the place, in one line.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{error.problem or error.context}{where}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (ArithmeticError, AttributeError, LookupError) as error:
        # What the parser makes of a tag that does not fit its value.
        raise ValueError(f"a value is not of its tag ({type(error).__name__})") from None


def not_plain(value: Any, path: str = "$") -> Iterator[str]:
    """Every place that no JSON could hold, or where an address holds credentials, which are not repeated."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield f"{path}: got the key {key!r}, expected a name; put it in quotes"
            elif _half(key):
                yield f"{path}: got a key with half a character (a surrogate), expected Unicode"
            else:
                yield from not_plain(item, f"{path}.{key}")
                if key == "uri" and isinstance(item, str) and (problem := unsafe(item)):
                    yield f"{path}.uri: holds {problem}; they come from the environment or a role"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from not_plain(item, f"{path}[{index}]")
    elif (problem := _odd(value)) is not None:
        yield f"{path}: {problem}"


def _odd(value: Any) -> str | None:
    """Why a value that holds no others is not one of JSON."""
    if isinstance(value, str):
        return "got half a character (a surrogate), expected Unicode" if _half(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"got {value}, expected a finite number"
    if value is None or isinstance(value, int):
        return None
    return f"got a {type(value).__name__}, expected a text, a number, a list or a mapping; put it in quotes"


def _half(text: str) -> bool:
    return any("\ud800" <= each <= "\udfff" for each in text)
