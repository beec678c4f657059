"""Conversations of several turns, from data with ``turns`` or ``messages``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hexgate.datasets.faults import RowFault
from hexgate.errors import InputError

if TYPE_CHECKING:
    from hexgate.datasets.prompts import Prompt

__all__ = ["Conversation", "conversations", "read_messages"]

_SYSTEM = frozenset({"system", "developer"})


@dataclass(frozen=True)
class Conversation:
    """What the user says, turn by turn. What the assistant said in the data is left to the measured model."""

    id: str
    """Its id in the file, or its number from 0."""
    system: str | None
    """The system message, if any."""
    turns: tuple[str, ...]
    """The user's messages, in order."""


def conversations(prompts: Iterable[Prompt], turns: int, *, where: str) -> tuple[list[Conversation], int]:
    """The first turns of each conversation, and how many conversations have too few and are left out.

    Args:
        prompts: the conversations.
        turns: how many turns of each.
        where: the file, for the message.

    Raises:
        InputError: if `turns` is below 1, or no conversation has so many.
    """
    if turns < 1:
        raise InputError(
            "a conversation has at least one turn", where="--turns", got=str(turns), expected="1 or more"
        )
    found: list[Conversation] = []
    left_out = longest = 0
    for prompt in prompts:
        longest = max(longest, len(prompt.turns))
        if len(prompt.turns) < turns:
            left_out += 1
        else:
            found.append(Conversation(prompt.id, prompt.system, prompt.turns[:turns]))
    if not found:
        raise InputError(
            f"no conversation has {turns} turns",
            where=where,
            got=f"{longest} in the longest",
            expected="rows with turns: [...] or messages: [...]",
            hint="lower --turns, or give conversations with more",
        )
    return found, left_out


def read_messages(messages: Any) -> tuple[str | None, tuple[str, ...]]:
    """The system message and the user's texts of a list of messages, as chat APIs take it.

    Raises:
        RowFault: if it is no such list, or no user says anything in it.
    """
    if not isinstance(messages, list):
        raise RowFault("'messages' is not a list")
    system: str | None = None
    turns: list[str] = []
    for number, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _SYSTEM | {"user", "assistant"}:
            raise RowFault(f"messages[{number}] has not the role system, user or assistant")
        if role == "assistant":
            continue
        text = _text(message.get("content"))
        if text is None:
            raise RowFault(f"messages[{number}] has no text under 'content'")
        if role == "user":
            turns.append(text)
        elif number == 0:
            system = text
        else:
            raise RowFault(f"messages[{number}] is a system message that does not come first")
    if not turns:
        raise RowFault("'messages' has no message of a user")
    return system, tuple(turns)


def _text(content: Any) -> str | None:
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in content
    ):
        content = "".join(part["text"] for part in content)
    return content if isinstance(content, str) and content.strip() else None
