"""Words of a study's page on what failed, what is left, and which questions means are of."""

# ruff: noqa: E501 (a sentence is one line, however long)

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["COMMON_WORDS"]

COMMON_WORDS: Mapping[str, tuple[str, str]] = {
    "one_left": (
        "1 run is left: every figure is of what is over so far.",
        "还有 1 次运行未完成：所有数值只反映已完成的部分。",
    ),
    "some_left": (
        "{left} runs are left: every figure is of what is over so far.",
        "还有 {left} 次运行未完成：所有数值只反映已完成的部分。",
    ),
    "one_failed": (
        "1 run failed, of {models}. It is in no mean, and is counted beside each. A model that fails at what is hard looks better wherever its mean is of its own questions.",
        "1 次运行失败（{models}）。它不计入任何平均值，但在各处单独计数。若模型在难题上失败，凡只按其自身题目计算的平均值都会显得更好。",
    ),
    "some_failed": (
        "{failed} runs failed, of {models}. They are in no mean, and are counted beside each. A model that fails at what is hard looks better wherever its mean is of its own questions.",
        "{failed} 次运行失败（{models}）。它们不计入任何平均值，但在各处单独计数。若模型在难题上失败，凡只按其自身题目计算的平均值都会显得更好。",
    ),
    "on_common": (
        "Means by model in this section are of the {shared} of {most} questions (each at a load) that every model has answered. Further questions have no answer of {models}.",
        "本节按模型的平均值只取所有模型都已回答的 {shared} 道题（最多者有 {most} 道，各负载分别计）。其余题目中，{models} 有未回答的。",
    ),
    "few_common": (
        "Means by model in this section are each of the model's own questions, and not to be compared: every model has answered {shared} of {most} questions (each at a load), which are too few. Some have no answer of {models}.",
        "本节按模型的平均值各取自该模型自己的题目，不可相互比较：所有模型都已回答的题目只有 {shared} 道（最多者有 {most} 道，各负载分别计），过少。{models} 有未回答的题目。",
    ),
    "own_questions": (
        "Means in this section are each of the questions that were answered there, which are not the same for all. Some have no answer of {models}.",
        "本节的平均值各取自当处已回答的题目，彼此并不相同。{models} 有未回答的题目。",
    ),
    "left_out_cache": (
        "{what} is not on it: some of its prompts came from the server's cache, others did not.",
        "未含 {what}：其部分提示词来自服务缓存，其余不是。",
    ),
    "field_cold": (
        "Of no prompt is it known that it came from the server's cache.",
        "没有提示词已知来自服务缓存。",
    ),
    "field_warm": (
        "Every prompt came in part from the server's cache.",
        "每个提示词都有一部分来自服务缓存。",
    ),
    "cannot_rate": (
        "No model can be rated: {reason} ({where}).",
        "无法为任何模型评级：{reason}（{where}）。",
    ),
}
"""English and Chinese by key."""
