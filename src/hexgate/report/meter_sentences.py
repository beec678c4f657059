"""What the meters say of themselves and of a window, in Chinese: why there is no figure, or a worse one."""

# ruff: noqa: E501 (a sentence is one line, however long)

from __future__ import annotations

from functools import cache

from hexgate.report.text import Both, clean
from hexgate.report.twins import Twins

__all__ = ["METER_SENTENCES", "told"]

METER_SENTENCES: tuple[tuple[str, str], ...] = (
    # meters/windows.py, validity.py, curve.py
    ("{count} readings are too few", "{count} 个读数太少"),
    ("the stamps of the readings do not rise", "读数的时间戳没有递增"),
    ("the first reading is {seconds} s after the window's begin", "第一个读数比窗口开始晚 {seconds} 秒"),
    ("the last reading is {seconds} s before the window's end", "最后一个读数比窗口结束早 {seconds} 秒"),
    ("no reading lies inside the window of {seconds} s", "{seconds} 秒的窗口内没有读数"),
    ("no update of the counter lies inside the window of {seconds} s", "{seconds} 秒的窗口内计数器没有刷新"),
    ("the counter did not move in {seconds} s", "计数器在 {seconds} 秒内没有变化"),
    ("the sensor showed no power in {seconds} s", "传感器在 {seconds} 秒内没有显示功率"),
    (
        "the sensor was not read for {unseen} s in a window of {seconds} s",
        "在 {seconds} 秒的窗口中有 {unseen} 秒没有读到传感器",
    ),
    (
        "the counter was not read for {seconds} s and may have wrapped more than once",
        "计数器有 {seconds} 秒没有读到，可能回绕了不止一次",
    ),
    (
        "the counter stood still for {still} s, of which {within} s in the window",
        "计数器停了 {still} 秒，其中 {within} 秒在窗口内",
    ),
    (
        "the counter was reset or set: from {before} J to {after} J in {seconds} s",
        "计数器被重置：{seconds} 秒内从 {before} J 变为 {after} J",
    ),
    ("only {count} readings lie inside the window of {seconds} s", "{seconds} 秒的窗口内只有 {count} 个读数"),
    (
        "only {count} updates of the counter lie inside the window of {seconds} s",
        "{seconds} 秒的窗口内计数器只刷新了 {count} 次",
    ),
    (
        "no reading for {seconds} s, where one is due every {period} s",
        "有 {seconds} 秒没有读数，而应每 {period} 秒一个",
    ),
    (
        "the counter was last refreshed {seconds} s before the window's end; its power is carried on",
        "计数器最后一次刷新比窗口结束早 {seconds} 秒；其后按原功率延续",
    ),
    (
        "the sensor averages over {over} s, which blurs {seconds} s",
        "传感器对 {over} 秒取平均，使 {seconds} 秒的窗口变得模糊",
    ),
    (
        "the counter showed one value for {shown} s, where it is refreshed every {update} s",
        "计数器有 {shown} 秒显示同一个值，而它每 {update} 秒刷新一次",
    ),
    ("it could not be read ({reason*})", "无法读取（{reason}）"),
    # meters/countable.py
    (
        "{part} is not in it: whether it is a part of {whole} is not known",
        "未计入 {part}：不知道它是否属于 {whole}",
    ),
    (
        "{part} is not in it: it has the scope of {other} and may be the same device",
        "未计入 {part}：它与 {other} 范围相同，可能是同一设备",
    ),
    ("energy of {part} is not in it ({reason*})", "未计入 {part} 的能量（{reason}）"),
    ("{part} is not in it ({reason*})", "未计入 {part}（{reason}）"),
    ("the meter's own error is not stated", "电表自身的误差未声明"),
    (
        "the meter's own error is not stated: {names*} (--import-uncertainty takes it)",
        "电表自身的误差未声明：{names}（可用 --import-uncertainty 给出）",
    ),
    ("the meter's own error is not stated: {names*}", "电表自身的误差未声明：{names}"),
    # meters/quiet.py
    (
        "with {before} s before the request and {after} s after it: {reason*}",
        "计入请求前 {before} 秒与请求后 {after} 秒：{reason}",
    ),
    ("no energy was shown in {seconds} s", "{seconds} 秒内没有显示能量"),
    (
        "it takes the sensor's average for the plain mean over {seconds} s, which nobody verified",
        "把传感器的平均当作 {seconds} 秒的简单平均，而这未经验证",
    ),
    *(
        (
            f"{{count}} {what} lie in the idle {place} the request, where it takes 2 (hold it longer)",
            f"请求{when}的静息中只有 {{count}} {many}，而至少需要 2 {many}；请延长静息",
        )
        for what, many in (("updates of the counter", "次计数器刷新"), ("readings", "个读数"))
        for place, when in (("before", "之前"), ("after", "之后"))
    ),
    (
        "the device is not at rest around the request: {power} W, in which {low} W to {high} W was drawn for a while, where idle before it is {idle} W (hold the idle longer)",
        "请求前后设备并未静息：平均 {power} W，其间一度为 {low} W 至 {high} W，而请求前的静息为 {idle} W；请延长静息",
    ),
    # meters/net.py
    (
        "idle before and after differ too much ({before} W and {after} W)",
        "前后的静息功率相差太大（{before} W 与 {after} W）",
    ),
    ("gross: {reason*}", "总能量：{reason}"),
    ("idle before: {reason*}", "之前的静息：{reason}"),
    ("idle after: {reason*}", "之后的静息：{reason}"),
    # meters/measure.py
    (
        "only supply rails were read, and which of them make up the whole is not known",
        "只读到各路供电，不知道哪些合成整体",
    ),
    ("the machine at rest was not measured", "没有测量静息时的机器"),
    ("the rest after the command was cut short", "命令之后的静息被提前打断"),
    ("there is no curve of its power", "没有它的功率曲线"),
    ("the command ran for less than {seconds} s", "命令运行不到 {seconds} 秒"),
    ("no sample of it", "没有它的采样"),
    # meters/summary.py, host.py
    ("no sample lies in the window", "窗口内没有采样"),
    ("no sample reaches into the window", "没有采样达到窗口"),
    ("a counter needs two samples", "计数器需要两个采样"),
    ("the counter went backwards", "计数器后退了"),
    ("the first sample has no time before it", "第一个采样之前没有时间"),
    ("the measured process has ended", "被测进程已结束"),
    ("the measured process belongs to someone else", "被测进程属于其他用户"),
    ("the measured process is not on this machine", "被测进程不在本机"),
    ("the system shows no disk counters", "系统不提供磁盘计数器"),
    ("measure on the host", "请在宿主机上测量"),
    # meters/nvml.py, rapl.py, jetson.py
    ("NVML cannot be used ({error*})", "无法使用 NVML（{error}）"),
    (
        "where there is an NVIDIA GPU: install its driver; in a container, start it with --gpus all and NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        "若有 NVIDIA GPU：请安装其驱动；在容器中，请用 --gpus all 和 NVIDIA_DRIVER_CAPABILITIES=compute,utility 启动",
    ),
    ("the driver knows of none", "驱动没有发现任何 GPU"),
    ("it does not answer ({error*})", "没有应答（{error}）"),
    ("see nvidia-smi", "请查看 nvidia-smi"),
    ("neither energy counter nor power can be read: {error*}", "能量计数器和功率都读不到：{error}"),
    (
        "measure on the physical board; most virtual GPUs do not show their power",
        "请在物理板卡上测量；多数虚拟 GPU 不提供功率",
    ),
    (
        "{root} shows no RAPL zone, as is normal in virtual machines, in WSL and on Windows",
        "{root} 中没有 RAPL 域；在虚拟机、WSL 和 Windows 上通常如此",
    ),
    (
        "measure on the bare machine; there, load the kernel module intel_rapl_msr",
        "请在裸机上测量，并加载内核模块 intel_rapl_msr",
    ),
    ("until the next boot: sudo chmod a+r {files*}", "到下次启动前有效：sudo chmod a+r {files}"),
    (
        "for good, in {rules}: {rule*}. Both let every local user read the counter, which CVE-2020-8694 shows to be a side channel",
        "长期有效：在 {rules} 中写入 {rule}。两者都会让本机所有用户读到该计数器，而 CVE-2020-8694 表明它是一个侧信道",
    ),
    ("this machine is no Jetson", "本机不是 Jetson"),
    ("this board is not in the table of boards; rails: {rails*}", "该板型不在板型表中；供电轨：{rails}"),
    (
        "two rails have the name of its total, {names*}; rails: {rails*}",
        "有两路供电与合计同名（{names}）；供电轨：{rails}",
    ),
    (
        "{board*}: the rails of its total are {names*}, and not all can be read; rails: {rails*}",
        "{board}：合计由 {names} 组成，但并非全部可读；供电轨：{rails}",
    ),
    (
        "{board*}: it has no rail of the whole input; VDDQ_VDD2_1V8AO is believed to lie inside VIN_SYS_5V0, but no document of NVIDIA that we could read says so; rails: {rails*}",
        "{board}：没有测量整个输入的供电轨；据信 VDDQ_VDD2_1V8AO 包含在 VIN_SYS_5V0 中，但我们读到的 NVIDIA 文档都未说明；供电轨：{rails}",
    ),
    (
        "HEXGATE_JETSON_TOTAL names {names*}, which is no rail of this board; rails: {rails*}",
        "HEXGATE_JETSON_TOTAL 指定的 {names} 不是本板的供电轨；供电轨：{rails}",
    ),
    (
        "HEXGATE_JETSON_TOTAL names a rail twice: {names*}; rails: {rails*}",
        "HEXGATE_JETSON_TOTAL 重复指定了供电轨：{names}；供电轨：{rails}",
    ),
    (
        "HEXGATE_JETSON_TOTAL names {outer} and {inner*}, which lies inside it; rails: {rails*}",
        "HEXGATE_JETSON_TOTAL 同时指定了 {outer} 和包含在其中的 {inner}；供电轨：{rails}",
    ),
    (
        "name the rails that make up the total and do not contain each other: {example*} is likely; compare it once with a meter at the plug",
        "请指定组成合计且互不包含的供电轨：很可能是 {example}；请用插座电表核对一次",
    ),
    (
        "name the rails that make up the total and do not contain each other: {example*}",
        "请指定组成合计且互不包含的供电轨：{example}",
    ),
    # meters/tegrastats.py
    (
        "sysfs shows no power sensor, and there is no tegrastats on the path",
        "sysfs 中没有功率传感器，路径中也没有 tegrastats",
    ),
    (
        "in a container: mount the machine's /sys and /usr/bin/tegrastats; some boards, such as the Jetson Nano 2GB, have no power sensor",
        "在容器中：请挂载主机的 /sys 和 /usr/bin/tegrastats；有些板（如 Jetson Nano 2GB）没有功率传感器",
    ),
    ("{program} cannot be started ({error*})", "{program} 无法启动（{error}）"),
    (
        "run hexgate as root: some releases of tegrastats show power to root alone",
        "请以 root 运行 hexgate：某些版本的 tegrastats 只对 root 显示功率",
    ),
    ("the lines of tegrastats have no power in them", "tegrastats 的输出行中没有功率"),
    ("tegrastats has printed no power within {seconds} s", "tegrastats 在 {seconds} 秒内没有输出功率"),
    ("tegrastats ended ({how*})", "tegrastats 已结束（{how}）"),
    ("tegrastats closed its output", "tegrastats 关闭了输出"),
    (
        "tegrastats has told no power for {silent} s, where a line is due every {interval} s",
        "tegrastats 已有 {silent} 秒没有给出功率，而每 {interval} 秒应有一行",
    ),
    ("the line of tegrastats does not have it", "tegrastats 的这一行没有该供电轨"),
    (
        "sysfs shows no power sensor, and there is no tegrastats on the path",
        "sysfs 中没有功率传感器，路径上也没有 tegrastats",
    ),
    (
        "in a container: mount the machine's /sys and /usr/bin/tegrastats",
        "在容器中：请挂载本机的 /sys 和 /usr/bin/tegrastats",
    ),
    (
        "some boards, such as the Jetson Nano 2GB, have no power sensor",
        "有些板型没有功率传感器，例如 Jetson Nano 2GB",
    ),
    ("{program} cannot be started ({error*})", "{program} 无法启动（{error}）"),
    ("rails: {rails*}", "各路供电：{rails}"),
    (
        "name the rails that make up the total and do not contain each other: {example*} is likely; compare it once with a meter at the plug",
        "请指明合成总量且互不包含的各路供电：可能是 {example}；请用插座上的电表比对一次",
    ),
    (
        "name the rails that make up the total and do not contain each other: {example*}",
        "请指明合成总量且互不包含的各路供电：{example}",
    ),
    # meters/recorder.py
    ("the sampler could not be started ({error*})", "采样进程无法启动（{error}）"),
    ("the sampler wrote no sample within {seconds} s", "采样进程在 {seconds} 秒内没有写出采样"),
    (
        "the sampler ended before the measurement did ({error*}); what came after is not recorded",
        "采样进程在测量结束前退出（{error}）；其后的内容没有记录",
    ),
)
"""English with gaps and its twin, as `Twins` takes them. Of several that fit, the first is taken."""


@cache
def _twins() -> Twins:
    # Last: a reason that stands behind the meter or the domain that it is of.
    return Twins((*METER_SENTENCES, ("{name}: {reason*}", "{name}：{reason}")))


def told(sentence: object, most: int = 600) -> Both:
    """One or more reasons of the meters in both languages, harmless and short."""
    english = sentence if isinstance(sentence, str) else str(sentence)
    return Both(clean(english, most), clean(_twins().reasons(english), most))
