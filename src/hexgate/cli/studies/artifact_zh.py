"""What making an artifact of a study refuses and notes, in Chinese: pairs for `Twins`."""

from __future__ import annotations

__all__ = ["STUDY_ARTIFACT_ERRORS"]

STUDY_ARTIFACT_ERRORS: tuple[tuple[str, str], ...] = (
    # study/artifact.py
    ("no run of the model is over", "该模型还没有完成的运行"),
    ("carry the study out first: hexgate study run", "请先执行研究：hexgate study run"),
    (
        "the runs of the model are not those of one model on one machine",
        "该模型的运行并非出自同一模型和同一台机器",
    ),
    (
        "{name*} is {one*} in one visit and {other*} in another",
        "{name} 在一轮中为 {one}，在另一轮中为 {other}",
    ),
    (
        "one configuration, one machine and one set of meters in all visits of a model",
        "同一模型的各轮使用同一配置、同一台机器和同一组能耗计",
    ),
    (
        "an artifact says what one model draws; begin the study anew in another folder",
        "一份结果只说明一个模型的能耗；请在另一个目录重新开始研究",
    ),
    ("the study is not over", "研究尚未完成"),
    (
        "go on with hexgate study run, then make the artifact again",
        "请用 hexgate study run 继续，然后重新生成结果",
    ),
    ("the study has no such model", "研究中没有这个模型"),
    ("the study has no such task", "研究中没有这个任务"),
    ("the study has no such load", "研究中没有这个负载"),
    ("--model is missing", "缺少 --model"),
    ("a run of a visit that is not kept", "某次运行所属的轮次没有记录"),
    (
        "the ledger of the study is not what hexgate study run writes ({error*})",
        "研究的账本不是 hexgate study run 所写（{error}）",
    ),
    (
        "a study is never edited; run it again in another folder",
        "研究不可编辑；请在另一个目录重新执行",
    ),
    # indicators/power_study.py
    ("no run succeeded", "没有运行成功"),
    ("{left} of {planned} runs of the model are left", "该模型 {planned} 次运行中还有 {left} 次未完成"),
)
"""English with gaps and its twin. Of several that fit, the first is taken."""
