"""The words of a metered command, on the command line and on its page, each in both languages side by side."""

# ruff: noqa: E501 (a sentence is one line, however long)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hexgate.report.text import Both, both_of

__all__ = ["WORDS", "word"]

WORDS: Mapping[str, tuple[str, str]] = {
    # the lines
    "time": ("time", "时间"),
    "energy": ("energy", "能量"),
    "net": ("net energy", "净能量"),
    "estimate": ("estimate", "估计"),
    "power": ("power", "功率"),
    "cpu": ("CPU", "CPU"),
    "memory": ("memory", "内存"),
    "largest": ("largest process", "最大进程"),
    "host_cpu": ("machine CPU", "整机 CPU"),
    "host_memory": ("machine memory", "整机内存"),
    "disk": ("machine disk", "整机磁盘"),
    "gpu": ("GPU {place}", "GPU {place}"),
    "imported": ("imported", "导入"),
    "recording": ("recording", "记录"),
    "ended": ("ended", "结束"),
    # their values
    "seconds": ("{value} seconds", "{value} 秒"),
    "joules": ("{value} joules", "{value} 焦耳"),
    "joules_unstated": (
        "{value} joules (± {known} and the meter's own error, which is not stated)",
        "{value} 焦耳（± {known}，另有电表自身误差，未声明）",
    ),
    "watts": ("{value} watts", "{value} 瓦"),
    "of": ("{value}, {what}", "{value}，{what}"),
    "part": (
        "{value}, {what}; a part of the whole, not added",
        "{value}，{what}；属于整体的一部分，不计入合计",
    ),
    "net_value": (
        "{value} joules above rest at {idle} watts (drift {drift} percent)",
        "{value} 焦耳，高于静息功率 {idle} 瓦的部分（漂移 {drift}%）",
    ),
    "estimated": (
        "{value} joules by a declared {watts} watts a busy core: no measurement",
        "{value} 焦耳，按声明的每忙核 {watts} 瓦推算：不是测量值",
    ),
    "mean_power": ("mean {value} watts", "平均 {value} 瓦"),
    "max_power_1": ("highest {value} watts over one second", "一秒内最高 {value} 瓦"),
    "max_power": ("highest {value} watts over {over} seconds", "{over} 秒内最高 {value} 瓦"),
    "cpu_value": (
        "{cpu} seconds (user {user}, system {system}), {cores} of {all} cores",
        "{cpu} 秒（用户态 {user}，内核态 {system}），用了 {all} 核中的 {cores} 核",
    ),
    "cpu_value_unknown": (
        "{cpu} seconds (user {user}, system {system}), {cores} cores",
        "{cpu} 秒（用户态 {user}，内核态 {system}），{cores} 核",
    ),
    "levels": ("mean {mean}, highest {most}", "平均 {mean}，最高 {most}"),
    "levels_of": ("mean {mean}, highest {most} of {all}", "平均 {mean}，最高 {most}，共 {all}"),
    "disk_value": ("{read} read, {written} written", "读 {read}，写 {written}"),
    "gpu_use": ("use mean {mean}, highest {most}", "使用率平均 {mean}，最高 {most}"),
    "gpu_memory": ("memory highest {most}", "显存最高 {most}"),
    "percent": ("{value} percent", "{value}%"),
    "bytes_1": ("{value} bytes", "{value} 字节"),
    "bytes_1000": ("{value} kilobytes", "{value} KB"),
    "bytes_1000000": ("{value} megabytes", "{value} MB"),
    "bytes_1000000000": ("{value} gigabytes", "{value} GB"),
    "not_measured": ("not measured: {reason}", "未测得：{reason}"),
    "remark": ("{value}; {reason}", "{value}；{reason}"),
    "comma": (", ", "，"),
    "semicolon": ("; ", "；"),
    "by_signal": ("by {signal}, exit code {code}", "因 {signal}，退出码 {code}"),
    "with_code": ("with exit code {code}", "退出码 {code}"),
    # scopes
    "scope_board": ("the whole GPU board", "整块 GPU 板卡"),
    "scope_module": ("the module of CPU and GPU", "CPU 与 GPU 模组"),
    "scope_package": ("the CPU package", "CPU 封装"),
    "scope_dram": ("the memory of the CPU package", "CPU 封装的内存"),
    "scope_rail": ("one supply rail", "一路供电"),
    "scope_psys": ("the platform as its CPU sees it", "CPU 所见的平台"),
    "scope_host": ("the whole machine", "整机"),
    # the page
    "title": ("Metered: {command}", "计量：{command}"),
    "report": ("Metered command", "命令计量"),
    "skip": ("Skip to the figures", "跳到数值表"),
    "language": ("Language", "语言"),
    "theme": ("Light / dark", "浅色 / 深色"),
    "figures": ("Figures", "数值"),
    "figures_note": (
        "± is one standard uncertainty. Energy is of everything that its meter covers, other programs included; CPU seconds are of the command and of all that it waited for.",
        "± 为一个标准不确定度。能量是电表所覆盖的一切的能量，包括其他程序；CPU 秒数属于该命令及其等待过的全部进程。",
    ),
    "charts": ("Power over time", "功率随时间变化"),
    "charts_note": (
        "The command ran from {begin} s to {end} s.",
        "命令运行于第 {begin} 秒至第 {end} 秒。",
    ),
    "chart_power": ("Power: {what}", "功率：{what}"),
    "domains": ("Domains", "测量域"),
    "domains_note": (
        "What was metered, and the causes of each uncertainty in joules: the two edges of the window, what happened between samples, and the sensor's own.",
        "计量了什么，以及各项不确定度的来源（焦耳）：窗口两端、采样之间、传感器自身。",
    ),
    "col_domain": ("Domain", "测量域"),
    "col_covers": ("Covers", "覆盖"),
    "col_energy": ("Energy, J", "能量，J"),
    "col_edge": ("Edges, J", "两端，J"),
    "col_sampling": ("Sampling, J", "采样，J"),
    "col_sensor": ("Sensor, J", "传感器，J"),
    "col_readings": ("Readings", "读数"),
    "col_remarks": ("Remarks", "备注"),
    "lacks": ("What this machine does not show", "本机未能提供的"),
    "remedy": ("remedy: {text}", "办法：{text}"),
    "made_by": (
        "Made by hexgate. This file loads nothing from outside.",
        "由 hexgate 生成。本文件不从外部加载任何内容。",
    ),
    "no_energy": ("No energy was measured", "未测得能量"),
}
"""English and Chinese by key."""


def word(key: str, **parts: Any) -> Both:
    """One of these, its gaps filled; see `both_of`."""
    return both_of(WORDS, key, **parts)
