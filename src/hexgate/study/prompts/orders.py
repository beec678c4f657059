"""What a language model is told that is to write the next level of a prompt."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ORDERS", "SYSTEM", "order"]

SYSTEM = (
    "You edit prompts for language models. You never answer a prompt, and you never change what it asks for."
)
"""The system message."""

ORDERS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "L1": (
            "Add to the prompt below the role that the answerer is to take, for whom the answer is meant, and the form "
            "in which it is to be given. Add 40 to 110 words."
        ),
        "L2": (
            "Add to the prompt below numbered steps by which a good answer is reached: how to go about it, and not "
            "what the answer is. Add 80 to 150 words."
        ),
        "L3": (
            "Add to the prompt below one or two finished examples: each a different question of the same kind, with "
            "its answer in the form that is wanted. Say that they are examples. Add 110 to 190 words."
        ),
        "rules": (
            "Keep every word of the prompt as it stands, in its language, and do not answer it. Do not give away the "
            "answer. Put the whole new prompt between <prompt> and </prompt>, once, and write nothing else."
        ),
    },
    "zh": {
        "L1": "请在下面的提示词中加入回答者的角色、回答写给谁看，以及回答应采用的形式。增加 70 到 200 个字。",
        "L2": "请在下面的提示词中加入得到好答案的编号步骤：说明怎样去做，而不是答案是什么。增加 140 到 280 个字。",
        "L3": (
            "请在下面的提示词中加入一两个完整的示例：每个示例是另一个同类问题，并按要求的形式给出答案。"
            "要说明它们是示例。增加 200 到 350 个字。"
        ),
        "rules": (
            "保留原提示词的每一个字，使用同样的语言，不要回答它，也不要透露答案。"
            "把完整的新提示词放在 <prompt> 与 </prompt> 之间，只写一次，此外不写任何内容。"
        ),
    },
}
"""By language: what is added at each level, and the rules for all."""


def order(level: str, lang: str, before: str) -> str:
    """What a model is asked.

    Args:
        level: ``L1``, ``L2`` or ``L3``.
        lang: ``en`` or ``zh``.
        before: the prompt at the level before.
    """
    words = ORDERS[lang]
    return f"{words[level]}\n{words['rules']}\n\n<prompt>\n{before}\n</prompt>"
