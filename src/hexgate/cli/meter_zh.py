"""The errors of `hexgate meter` in Chinese: what is wrong, what was expected, and the next step."""

from __future__ import annotations

__all__ = ["METER_ERRORS"]

METER_ERRORS: tuple[tuple[str, str], ...] = (
    # meters/held.py
    ("there is no such command", "没有这个命令"),
    ("the command cannot be executed", "该命令无法执行"),
    ("the command cannot be executed ({error*})", "该命令无法执行（{error}）"),
    ("its interpreter is missing", "缺少它的解释器"),
    ("this system cannot pass signals to a command", "该系统无法把信号转给命令"),
    ("Linux, or a BSD other than macOS", "Linux，或 macOS 以外的 BSD"),
    ("the command was ended before it began", "命令在开始之前就被终止"),
    # cli/meter_record.py, meter.py, meter_document.py
    ("stopped before the command began", "在命令开始之前停止"),
    ("this machine has no such domain of energy", "本机没有这个能量测量域"),
    ("none: no energy can be measured here", "无：本机无法测量能量"),
    (
        "hexgate doctor says what this machine can measure, and how to enable the rest",
        "hexgate doctor 会说明本机能测什么，以及如何启用其余部分",
    ),
    ("{flag} needs --import", "{flag} 需要 --import"),
    ("--recompute takes no command", "--recompute 不接受命令"),
    ("a kept folder has its command already", "保留的目录中已有其命令"),
    ("{flag} has no meaning with --recompute", "{flag} 与 --recompute 一起没有意义"),
    ("name the file of the other meter", "请指明另一个电表的文件"),
    ("not two columns", "不是两列"),
    ("TIME,VALUE, such as t,power_w", "TIME,VALUE，例如 t,power_w"),
    ("the folder of the file cannot be made ({error*})", "无法建立该文件所在的目录（{error}）"),
    ("the folder cannot be made ({error*})", "无法建立该目录（{error}）"),
    ("it cannot be written here", "无法写入此处"),
    ("a domain has no name", "有一个测量域没有名字"),
    ("the kept document cannot be read ({error*})", "保留的文档无法读取（{error}）"),
    ("give the folder that hexgate meter --keep wrote", "请给出 hexgate meter --keep 写出的目录"),
    ("the kept document is not one of a command", "保留的文档不是命令的计量文档"),
    ("the file is not the one that the figures were made from", "该文件不是得出这些数值的那个文件"),
    ("the document is not what its schema says", "文档不符合其 schema"),
    ("the figures are not those that were kept", "数值与保留的不同"),
    ("the files or the document were changed, or hexgate was", "文件、文档或 hexgate 有改动"),
    # imported traces
    ("the trace is not UTF-8", "轨迹不是 UTF-8"),
    ("the trace is too large", "轨迹太大"),
    ("at most {size} MiB", "至多 {size} MiB"),
    ("the line is not CSV ({error*})", "该行不是 CSV（{error}）"),
    ("the line has not as many cells as the header", "该行的单元格数与表头不同"),
    ("two columns have one name", "两列同名"),
    ("there is no column of the time", "没有时间列"),
    ("there is no column of power or energy", "没有功率或能量列"),
    ("energy_j or power_w", "energy_j 或 power_w"),
    ("name both columns with --import-columns TIME,VALUE", "请用 --import-columns TIME,VALUE 指明两列"),
    ("the column's name does not end in a unit", "列名没有以单位结尾"),
    ("an end such as {ends*}", "结尾如 {ends}"),
    ("or give the unit with --import-unit", "或用 --import-unit 指明单位"),
    ("the time is before that of the reading above", "时间早于上一个读数"),
    ("the trace has fewer than two readings", "轨迹不足两个读数"),
    ("{count} readings", "{count} 个读数"),
    ("{column} is not a number", "{column} 不是数字"),
    ("{column} is below 0", "{column} 小于 0"),
    ("the time is not an instant", "时间不是一个时刻"),
    ("such as {example}, with Z or an offset from UTC", "例如 {example}，带 Z 或与 UTC 的时差"),
    (
        "say with --clock what the column counts, if it is something else",
        "如果该列是别的含义，请用 --clock 说明",
    ),
    ("the time is not a number", "时间不是数字"),
    ("write decimals with a point", "小数请用点号"),
    ("the time is beyond what this clock counts", "时间超出此时钟的范围"),
    ("--clock-start is for seconds of the file's own", "--clock-start 只用于文件自己的秒数"),
    ("--clock-start is not an instant", "--clock-start 不是时刻"),
    ("nothing says when the file's second 0 was", "无从得知文件的第 0 秒是何时"),
    (
        "a row with start in a column mark, at the instant when the command began",
        "在命令开始的那一刻，有一行在 mark 列写着 start",
    ),
    ("or give that instant with --clock-start", "或用 --clock-start 给出该时刻"),
    ("the wall clock of this machine was set during the measurement", "测量期间本机的时钟被调整过"),
    (
        "{moved} s against its monotonic clock in {span} s",
        "{span} 秒内相对单调时钟变化 {moved} 秒",
    ),
    ("measure again when it is in step", "请在时钟同步后重新测量"),
    (
        "the clock of the file runs at another rate, or its marks are not those of the command",
        "文件的时钟快慢不同，或其标记不是该命令的",
    ),
    (
        "{own} s from start to end, where the command took {seconds} s",
        "从 start 到 end 为 {own} 秒，而命令用了 {seconds} 秒",
    ),
    ("within {most} s", "{most} 秒以内"),
)
"""English with gaps and its twin, as `Twins` takes them. Of several that fit, the first is taken."""
