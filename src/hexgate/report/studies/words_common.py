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
    "on_common_yet": (
        "Means by model in this section are of the {shared} of {most} questions (each at a load) that every model has answered so far. Further questions have no answer of {models} yet. Runs that are left: {left}.",
        "本节按模型的平均值只取所有模型到目前为止都已回答的 {shared} 道题（最多者有 {most} 道，各负载分别计）。其余题目中，{models} 尚有未回答的。剩余运行：{left} 次。",
    ),
    "few_common_yet": (
        "The study is not over, and its models cannot be compared yet: every model has answered {shared} of {most} questions (each at a load) so far. Until then means by model in this section are each of the model's own questions. Runs that are left: {left}.",
        "研究尚未完成，模型之间还不能比较：到目前为止，所有模型都已回答的题目为 {shared} 道（最多者有 {most} 道，各负载分别计）。在此之前，本节按模型的平均值各取自该模型自己的题目。剩余运行：{left} 次。",
    ),
    "own_questions_yet": (
        "Means in this section are each of the questions that were answered there so far, which are not the same for all. Some have no answer of {models} yet. Runs that are left: {left}.",
        "本节的平均值各取自当处到目前为止已回答的题目，彼此并不相同。{models} 尚有未回答的题目。剩余运行：{left} 次。",
    ),
    "few_shared_yet": (
        "What lies on the front can be said when more is over. Runs that are left: {left}.",
        "待更多运行完成后才能画出前沿。剩余运行：{left} 次。",
    ),
    "left_out_few_yet": (
        "{what} is not on it yet: it has {count} of {most} questions so far.",
        "尚未含 {what}：目前有 {count}/{most} 道题。",
    ),
    "enough_few_yet": (
        "{count} questions in common so far, at least {least} are needed",
        "目前共有题目 {count} 道，至少需要 {least} 道",
    ),
    "no_quality_yet": (
        "No quality has been measured yet: it is measured when all runs are over (hexgate study score, hexgate study judge). Runs that are left: {left}.",
        "尚未测量质量：质量在全部运行完成后测量（hexgate study score、hexgate study judge）。剩余运行：{left} 次。",
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
