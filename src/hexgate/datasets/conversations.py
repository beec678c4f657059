"""Conversations of several turns, from data with ``turns``, ``messages`` or ``conversations`` (ShareGPT)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hexgate.datasets.faults import RowFault
from hexgate.errors import InputError

if TYPE_CHECKING:
    from hexgate.datasets.prompts import Prompt

__all__ = ["Conversation", "conversations", "read_messages", "read_sharegpt"]

_SYSTEM = frozenset({"system", "developer"})
_HUMAN = frozenset({"human", "user"})


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
            expected="rows with turns: [...], messages: [...] or conversations: [...]",
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


def read_sharegpt(messages: Any) -> tuple[str | None, tuple[str, ...]]:
    """The system message and the texts of the human in a list of messages, as ShareGPT files have it.

    Whoever else speaks in them (``gpt``, ``chatgpt``, ``bing`` …) is left to the measured model. A message without
    text is passed over, as such files hold many; () where no human says anything.

    Raises:
        RowFault: if it is no such list.
    """
    if not isinstance(messages, list) or not all(
        isinstance(one, dict) and isinstance(one.get("from"), str) and isinstance(one.get("value"), str)
        for one in messages
    ):
        raise RowFault("'conversations' is not a list of messages with 'from' and 'value'")
    said = [(one["from"], one["value"]) for one in messages if one["value"].strip()]
    system = said[0][1] if said and said[0][0] == "system" else None
    return system, tuple(value for who, value in said if who in _HUMAN)


def _text(content: Any) -> str | None:
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in content
    ):
        content = "".join(part["text"] for part in content)
    return content if isinstance(content, str) and content.strip() else None
