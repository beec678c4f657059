"""What an ask says, in the forms that APIs want: turns of a conversation, or one text."""

from __future__ import annotations

from hexgate.errors import InputError
from hexgate.wire.base import Ask

__all__ = ["prompt_of", "refuse_stop", "text_of", "turns_of"]

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def prompt_of(ask: Ask, dialect: str) -> str:
    """The prompt of an ask for an API that knows no turns.

    Raises:
        InputError: if it has none, or turns before it.
    """
    prompt = _prompt(ask, dialect)
    if ask.messages:
        raise InputError(
            f"the dialect {dialect} takes one prompt, not the turns of a conversation",
            got=f"{len(ask.messages)} messages before the prompt",
            hint="take a chat dialect, such as openai-chat or ollama-chat",
        )
    return prompt


def text_of(ask: Ask, dialect: str) -> str:
    """The same for an API that has no system message either: one that is given stands before the prompt.

    Raises:
        InputError: as for `prompt_of`.
    """
    prompt = prompt_of(ask, dialect)
    return prompt if ask.system is None else f"{ask.system}\n\n{prompt}"


def turns_of(ask: Ask, dialect: str) -> list[dict[str, str]]:
    """System message, the turns before the prompt, and the prompt, as chat APIs take them.

    Raises:
        InputError: if there is no prompt, or a turn is not a role and a text.
    """
    prompt = _prompt(ask, dialect)
    turns = [] if ask.system is None else [{"role": "system", "content": ask.system}]
    for message in ask.messages:
        turn = dict(message)
        if turn.get("role") not in _ROLES or not isinstance(turn.get("content"), str):
            raise InputError(
                "a message of the conversation is not a role and a text",
                got=repr(turn)[:100],
                expected="role (" + ", ".join(sorted(_ROLES)) + ") and content",
            )
        turns.append(turn)
    turns.append({"role": "user", "content": prompt})
    return turns


def refuse_stop(ask: Ask, dialect: str) -> None:
    """Refuse texts at which the reply is to end, for an API that has no place for them.

    Raises:
        InputError: if the ask has some.
    """
    if ask.stop:
        raise InputError(f"the dialect {dialect} has no stop texts", got=", ".join(map(repr, ask.stop)))


def _prompt(ask: Ask, dialect: str) -> str:
    if ask.prompt is None:
        raise InputError(f"the dialect {dialect} takes prompts, not inputs")
    return ask.prompt
