"""The words of a study's page, each in both languages side by side."""

# ruff: noqa: E501 (a sentence is one line, however long)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hexgate.report.studies.words_common import COMMON_WORDS
from hexgate.report.text import Both, both_of, same

__all__ = ["WORDS", "measure_word", "word"]

WORDS: Mapping[str, tuple[str, str]] = {
    **COMMON_WORDS,
    # the frame
    "title": ("Study: {name}", "研究：{name}"),
    "report": ("Study", "研究"),
    "skip": ("Skip to quality and energy", "跳到质量与能耗"),
    "language": ("Language", "语言"),
    "theme": ("Light / dark", "浅色 / 深色"),
    "contents": ("Contents", "目录"),
    "filter": ("Show rows with", "只显示含有以下文字的行"),
    "shown_rows": ("rows shown", "行显示"),
    "made_by": (
        "Made by hexgate. This file loads nothing from outside.",
        "由 hexgate 生成。本文件不从外部加载任何内容。",
    ),
    # the head
    "live": (
        "The study is not over: this page shows what is over so far, and loads itself anew every ten seconds.",
        "研究尚未完成：本页显示目前已完成的部分，每十秒自动刷新。",
    ),
    "live_since": (
        "The study is not over: this page shows what is over so far, and loads itself anew every ten seconds. Its newest run was sent at {at}; if that is long ago, it has been stopped.",
        "研究尚未完成：本页显示目前已完成的部分，每十秒自动刷新。最近一次运行发出于 {at}；若已过去很久，说明研究已停止。",
    ),
    "runs_of": ("{over} of {planned} runs", "{over} / {planned} 次运行"),
    "all_over": ("All planned runs are over.", "计划的运行已全部结束。"),
    "tile_planned": ("runs planned", "计划的运行"),
    "tile_over": ("over", "已结束"),
    "tile_failed": ("failed", "失败"),
    "tile_left": ("left", "剩余"),
    "tile_energy": ("with a measured energy", "测得能耗"),
    "tile_scored": ("with a quality", "有质量分"),
    "of_over": ("of {over} that are over", "共 {over} 次已结束"),
    "no_runs": ("No run is over yet.", "还没有结束的运行。"),
    "no_energy": (
        "Energy was not measured, so this page compares quality, speed and tokens alone. Why: {reasons}.",
        "没有测得能耗，因此本页只比较质量、速度与词元数。原因：{reasons}。",
    ),
    "some_energy": (
        "The energy of {count} of {all} runs is not known: {reasons}.",
        "{all} 次运行中有 {count} 次的能耗未知：{reasons}。",
    ),
    "several_bases": (
        "Energy was metered in several ways ({bases}), which are not compared: each has charts of its own under quality against energy, and the other charts show no energy.",
        "能耗以多种方式计量（{bases}），彼此不可比：在“质量与能耗”一节中各有单独的图，其他图不显示能耗。",
    ),
    "no_quality": (
        "No quality has been measured yet: give marks with hexgate study score, and make the report again.",
        "尚未测量质量：请用 hexgate study score 评分后重新生成报告。",
    ),
    "some_warm": (
        "The server took part of the prompt from its cache in {count} runs ({share}). They cost less than cold ones, and are in all figures; charts of quality against energy keep the two apart.",
        "有 {count} 次运行（{share}）的提示词部分来自服务的缓存。它们比冷启动的运行更省，仍计入所有数值；质量与能耗图把二者分开。",
    ),
    "fact_started": ("Started", "开始时间"),
    "fact_matrix": ("Matrix", "实验矩阵"),
    "matrix": (
        "{models} models x {tasks} tasks x {loads} loads, {items} questions; repeats: {runs}",
        "{models} 个模型 × {tasks} 个任务 × {loads} 个负载，{items} 道题，重复 {runs} 次",
    ),
    "fact_host": ("Device", "设备"),
    "fact_cpu": ("CPU", "处理器"),
    "fact_gpu": ("GPU", "显卡"),
    "fact_driver": ("Driver", "驱动"),
    "fact_servers": ("Servers", "服务程序"),
    "fact_cold": ("Prompts", "提示词"),
    "cold_nonce": ("cold, by a nonce in front of each", "冷：每个提示词前加随机串"),
    "cold_unload": ("cold, the model is loaded anew before each run", "冷：每次运行前重新加载模型"),
    "cold_none": ("as they are; the server may answer from its cache", "原样发送；服务可能使用缓存"),
    "fact_tool": ("Tool", "工具"),
    # quality against energy
    "energy": ("Quality against energy", "质量与能耗"),
    "energy_lead": (
        "Up and to the left is better. The dashed line joins what no other dot beats in both (the Pareto front); full marks lie on it, rings do not. It is drawn on means: where intervals overlap, which is better may be chance. Energy is gross, of one request. Bars are 95 % intervals over questions (over repeats, where there is one question alone).",
        "越靠左上越好。虚线连接没有被其他点在两方面同时超过的点（帕累托前沿）；实心点在线上，空心点不在。前沿按平均值画出：区间重叠时，孰优孰劣可能只是偶然。能耗为单次请求的总能耗。误差线为按题目计算的 95% 区间（只有一道题时按重复计算）。",
    ),
    "chart_front": ("{measure} against energy, by model", "{measure}与能耗，按模型"),
    "chart_front_levels": (
        "{measure} against energy, by model and load",
        "{measure}与能耗，按模型与负载",
    ),
    "axis_energy": ("energy of a request, J", "单次请求能耗，J"),
    "axis_quality": ("{measure}, 0 to {most}", "{measure}，0 至 {most}"),
    "axis_lower": ("{measure}, less is better", "{measure}，越低越好"),
    "field_note": (
        "On the {shared} of {most} questions that every dot has. Device: {device}. Metered: {scope}.",
        "基于各点共有的 {shared} 道题（最多者有 {most} 道）。设备：{device}。计量范围：{scope}。",
    ),
    "left_out_mixed": (
        "{what} is not on it: its runs were made on several devices or meters.",
        "未含 {what}：其运行来自多台设备或多种计量范围。",
    ),
    "left_out_few": (
        "{what} is not on it: it has {count} of {most} questions.",
        "未含 {what}：只有 {count}/{most} 道题。",
    ),
    "no_front_energy": (
        "There is no chart of quality against energy, because no run has an energy.",
        "没有任何运行测得能耗，因此没有质量与能耗图。",
    ),
    "no_front_quality": (
        "There is no chart of quality against energy, because no quality has been measured.",
        "尚未测量质量，因此没有质量与能耗图。",
    ),
    "few_shared": ("These are too few to say what lies on the front.", "题目太少，不画前沿。"),
    "not_comparable": ("Not on one chart", "不能放在同一张图上"),
    "more_measures": (
        "Further measures are in the table of all cells: {names}.",
        "其余度量见“全部单元”表：{names}。",
    ),
    "by_model": ("By model", "按模型"),
    # the columns
    "col_model": ("Model", "模型"),
    "col_task": ("Task", "任务"),
    "col_load": ("Load", "负载"),
    "col_answered": ("Answered", "已回答"),
    "of_planned": ("of {planned}", "共 {planned}"),
    "col_energy": ("Energy, J", "能耗，J"),
    "col_net": ("Net energy, J", "净能耗，J"),
    "col_per_token": ("J per output token", "每输出词元能耗，J"),
    "col_latency": ("Latency, s", "延迟，s"),
    "col_ttft": ("First token, s", "首词元，s"),
    "col_speed": ("Tokens/s", "词元/秒"),
    "col_prompt": ("Prompt tokens", "提示词元"),
    "col_output": ("Output tokens", "输出词元"),
    "col_per_kj": ("Quality per kJ", "每 kJ 质量"),
    "col_per_ktoken": ("Quality per 1000 tokens", "每千词元质量"),
    "col_best": ("Best mean quality", "平均质量最高"),
    "col_thrifty": ("Most quality for its cost", "单位成本质量最高"),
    "col_enough": ("Cheapest not measurably worse", "最省且不显著更差"),
    "col_questions": ("Questions", "题数"),
    "col_quantization": ("Quantisation", "量化"),
    "col_models_count": ("Models", "模型数"),
    "col_models": ("Which", "模型"),
    "col_axis": ("Axis", "轴"),
    "col_norm": ("1 on the rim is", "外圈 1 表示"),
    "col_missing": ("Missing", "缺失"),
    "col_domain": ("Domain", "测量域"),
    "col_covers": ("Covers", "覆盖"),
    "col_device": ("Device", "设备"),
    "col_doubt": ("Doubt", "疑点"),
    "col_runs": ("Runs", "运行次数"),
    "col_kind": ("Kind", "类型"),
    "col_detail": ("First detail", "首个详情"),
    "col_reason": ("Reason", "原因"),
    "col_fields": ("Fields of the record", "记录中的字段"),
    "col_scored": ("Scored", "已评分"),
    "col_total": ("Total of 10", "总分（10）"),
    "col_without": ("Total without conciseness, of 7.5", "不含简洁性的总分（7.5）"),
    "col_fact": ("What", "项目"),
    "col_value": ("Value", "值"),
    # quantities in a sentence
    "the_energy": ("energy", "能耗"),
    "the_latency": ("latency", "延迟"),
    "the_ttft": ("time to first token", "首词元时间"),
    "the_speed": ("tokens per second", "每秒词元数"),
    "the_output": ("output tokens", "输出词元数"),
    "axis_latency": ("latency, s", "延迟，s"),
    "axis_ttft": ("time to first token, s", "首词元时间，s"),
    "axis_speed": ("output tokens per second, by the server's clock", "每秒输出词元数（服务端计时）"),
    "axis_output": ("output tokens", "输出词元数"),
    "axis_prompt": ("prompt tokens", "提示词词元数"),
    "axis_size": ("parameters, 10⁹", "参数量，10⁹"),
    "axis_judge": ("mean of the judge's points, four times 2.5", "评判平均分，四项各 2.5 分"),
    # tasks
    "tasks": ("By task", "按任务"),
    "tasks_lead": (
        "Each task has measures of its own, and marks of different measures are not compared.",
        "各任务有各自的质量度量；不同度量的分数不作比较。",
    ),
    "chart_by_task": ("By task: {what}", "按任务：{what}"),
    "by_task": ("By task and model", "按任务与模型"),
    "more_rows": ("{count} more tasks are in the table alone.", "另有 {count} 个任务只列在表中。"),
    # levels
    "levels": ("By load and length of prompt", "按负载与提示词长度"),
    "levels_lead": (
        "What a longer prompt or a larger task gives, and what it costs. The length is the mean of the tokens that the server counts, what is in front of the prompt included.",
        "更长的提示词或更大的任务带来什么、付出什么。长度为服务统计的词元数的平均值，含提示词前附加的内容。",
    ),
    "chart_length": ("By length of prompt: {what}", "随提示词长度：{what}"),
    "no_lengths": (
        "There is no chart over the length of the prompt, because no server counted prompt tokens.",
        "没有服务统计提示词词元数，因此没有随长度变化的图。",
    ),
    "by_level": ("By model and load", "按模型与负载"),
    "choices": (
        "The load that is worth its cost, by {measure} and {cost}",
        "性价比最高的负载（按{measure}与{cost}）",
    ),
    "cost_energy": ("energy", "能耗"),
    "cost_tokens": ("tokens of prompt and reply", "提示词与回复的词元数"),
    "choices_note": (
        "All picks are over the questions that every load has, and may differ from the means above. Quality for its cost favours what is cheap and poor: read it beside the quality. The last pick is the load with the least {cost} whose quality does not lie below the best one's by the one-sided 95 % bound, paired over questions. That few questions tell nothing apart is no proof that two are alike.",
        "各项均只按所有负载共有的题目计算，可能与上表平均值不同。单位成本质量偏向便宜而差的选择：请与质量一并看。最后一列是在按题目配对的单侧 95% 界下质量不低于最佳者、且{cost}最少的负载。题目太少而分不出差别，并不证明二者相同。",
    ),
    "enough_no_cost": ("the cost of a load is not known", "有负载的成本未知"),
    "enough_few": (
        "{count} questions in common, at least {least} are needed",
        "共有题目 {count} 道，至少需要 {least} 道",
    ),
    # sizes
    "sizes": ("By size and quantisation", "按规模与量化"),
    "sizes_lead": (
        "Parameters and quantisation are as the server states them, or as the study declares them.",
        "参数量与量化由服务给出，或由研究描述声明。",
    ),
    "chart_size": ("By number of parameters: {what}", "随参数量：{what}"),
    "no_size": (
        "The number of parameters is not known of {models}.",
        "以下模型的参数量未知：{models}。",
    ),
    "by_quantization": ("By quantisation: means of the models' means", "按量化：各模型平均值的平均"),
    # profiles
    "profiles": ("Profile by model", "模型画像"),
    "profiles_lead": (
        "Each axis runs from 0 in the centre to 1 on the rim, and outwards is better. What 1 stands for is in the table, with the values themselves. An axis without a value is a gap, not a zero.",
        "各轴从圆心 0 到外圈 1，越靠外越好。1 代表什么以及原始数值见表。没有数值的轴是缺口，不是零。",
    ),
    "radar": ("Profile", "画像"),
    "radar_table": (
        "What the axes stand for: the value, and below it where that is on the axis",
        "各轴含义：原始数值，其下为轴上位置",
    ),
    "no_radar": ("There are fewer than three axes with a value.", "有数值的轴不足三个。"),
    "radar_energy_j": ("low energy", "低能耗"),
    "radar_latency_s": ("low latency", "低延迟"),
    "radar_ttft_s": ("early first token", "首词元快"),
    "radar_answered": ("Answered, share", "已回答比例"),
    "norm_scale": ("{most}, the end of its scale", "{most}，满分"),
    "norm_least": ("the least of this study; half is twice as much", "本研究的最小值；0.5 表示两倍"),
    "norm_most": ("the greatest of this study", "本研究的最大值"),
    "norm_share": ("every run that is over", "全部已结束的运行"),
    # distributions
    "distributions": ("All runs", "全部运行"),
    "distributions_lead": (
        "Each tick is a run (of more than {most}, so many evenly spaced in order, both ends among them). The box has the middle half, the stroke in it is the median, the line goes from p5 to p95. Percentiles are values that were measured, by nearest rank.",
        "每条短线是一次运行（超过 {most} 次时按次序均匀取这么多，含最小与最大）。方框为中间一半，框内竖线为中位数，横线从 p5 到 p95。百分位数取最近秩，均为实测值。",
    ),
    "chart_runs": ("All runs: {what}", "全部运行：{what}"),
    "none_of": ("{what}: {reason}", "{what}：{reason}"),
    "not_there": ("No run has a value of", "没有任何运行有以下数值"),
    # the judge
    "judge": ("The judge", "评判"),
    "judge_lead": (
        "A language model gave each answer up to 2.5 points in four dimensions, without knowing model or load. The total is computed by hexgate. Conciseness goes with the length of an answer and so with its energy; that is why the total stands here without it, too.",
        "由语言模型在不知道模型与负载的情况下，从四个维度为每个回答打分，各至多 2.5 分；总分由 hexgate 计算。简洁性与回答长度、因而与能耗相关，所以另列不含简洁性的总分。",
    ),
    "judge_chart": ("Points by dimension", "各维度得分"),
    "judge_chart_of": ("Points by dimension: {model}", "各维度得分：{model}"),
    "judge_table": ("Means by model and load", "按模型与负载的平均值"),
    "judge_missing": ("Answers without a mark", "没有得分的回答"),
    "judge_who": ("Who judged, and how", "由谁、如何评判"),
    "no_noise": (
        "No answer was judged more than once, so how far the judge agrees with itself is not known.",
        "没有回答被重复评判，因此不知道评判自身的一致程度。",
    ),
    "noise": (
        "Judge noise: one total of the same answer scatters by {spread} points (standard deviation, pooled over {answers} answers that were judged more than once).",
        "评判噪声：同一回答的单次总分波动 {spread} 分（标准差，由 {answers} 个被重复评判的回答合并得出）。",
    ),
    "factuality": ("factuality", "事实性"),
    "helpfulness": ("helpfulness", "有用性"),
    "structure": ("structure", "结构"),
    "conciseness": ("conciseness", "简洁性"),
    # models
    "models": ("Models as they were served", "模型配置"),
    "models_lead": (
        "By the server's own account in a model's first visit. A model that changed in between would have stopped the study.",
        "以模型首轮时服务自身的说明为准。其间若有变化，研究会停止。",
    ),
    "conf_served_model": ("Served as", "服务中的名称"),
    "conf_server": ("Server", "服务程序"),
    "conf_server_version": ("Version", "版本"),
    "conf_digest": ("Digest", "摘要"),
    "conf_family": ("Family", "系列"),
    "conf_parameters": ("Parameters", "参数量"),
    "conf_quantization": ("Quantisation", "量化"),
    "conf_context_length": ("Longest context", "最长上下文"),
    "conf_num_ctx": ("Loaded context", "加载的上下文"),
    "conf_size_bytes": ("Memory", "内存"),
    "conf_offload_ratio": ("On a GPU, share", "GPU 上的比例"),
    "declared": ("declared", "声明值"),
    "no_visits": ("it has not been asked yet", "尚未访问"),
    # meters
    "meters": ("What was metered", "计量范围"),
    "meters_lead": (
        "Energy is of everything that a meter covers, other programs included. Figures of different coverage are on no common chart.",
        "能耗为计量范围内的全部能耗，包括其他程序。范围不同的数值不放在同一张图上。",
    ),
    "not_metered": ("Not metered", "未计量"),
    "lack_of": ("{models}: {reason}", "{models}：{reason}"),
    "doubts": ("Why figures are worth less than they should be", "数值可信度降低的原因"),
    # what is missing
    "missing": ("What is missing, and why", "缺失及原因"),
    "missing_lead": (
        "What could not be measured is nowhere a zero, and in no mean.",
        "未能测得的数值从不记为零，也不计入平均值。",
    ),
    "failures": ("Runs that failed", "失败的运行"),
    "missing_values": ("Values that answered runs do not have", "已回答的运行缺少的数值"),
    "more_reasons": ("{count} more reasons are in the raw records.", "另有 {count} 种原因见原始记录。"),
    # the cells
    "cells": ("All cells", "全部单元"),
    "cells_lead": (
        "One row for each model, task and load: means of its runs, and below them their 95 % intervals over questions (ʳ: over repeats of its one question, which says nothing of other questions; none where there are too few). Press a heading to sort.",
        "每行对应一个模型、任务与负载：运行的平均值，其下为按题目计算的 95% 区间（ʳ：只有一道题，区间按重复计算，不说明其他题目；太少时没有区间）。点击表头可排序。",
    ),
    "cells_left_out": (
        "{shown} cells are shown, {count} more are in results.csv.",
        "显示 {shown} 个单元，另有 {count} 个见 results.csv。",
    ),
    "lacks": ("{what} of {count}", "{what}缺 {count} 次"),
    "cell_failed": ("{count} failed", "失败 {count} 次"),
    # the rating
    "rating": ("Rating", "评级"),
    "rating_lead": (
        "A letter from A to G for what a model costs for what it gives, on this suite and device; a model below the quality floor is not rated. No official energy label.",
        "以 A 至 G 表示模型以多少能耗换来多少质量，仅针对本题集与本设备；低于质量下限的模型不评级。不是官方能效标识。",
    ),
    "labels": ("Labels", "标签"),
    "no_rating": (
        "The study's file has no block rating, so no model is rated.",
        "研究描述中没有 rating 部分，因此没有评级。",
    ),
    "no_rating_yet": ("There is nothing to rate yet: {reason}", "还没有可评级的内容：{reason}"),
    "col_letter": ("Class", "等级"),
    "col_index": ("Index EEI", "指数 EEI"),
    "col_request_j": ("J per request, failed ones too", "每次请求，J（含失败）"),
    "col_accepted_j": ("J per accepted answer", "每个被接受回答，J"),
    "col_acceptance": ("Accepted", "接受率"),
    "col_front": ("On the front", "在前沿上"),
    "col_refusals": ("Why not rated", "未评级原因"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    # how it was made
    "how": ("How the figures were made", "数值的计算方法"),
    "how_mean": (
        "Means are over runs that were answered and have the value, one weight each; n = is the number of these where other answered runs lack it. Models are compared on the questions that all of them have answered, where a section says so, and by the charts of quality against energy.",
        "平均值取自已回答且有该数值的运行，各占一份权重；另有已回答的运行缺少该数值时注明 n = 次数。各节注明之处以及质量与能耗图中，各模型按所有模型都已回答的题目比较。",
    ),
    "how_interval": (
        "Intervals of means are cluster bootstraps over questions with expanded percentiles (Hesterberg 2015), PCG64 seed 0, 95 %: repeats and levels of one question are drawn together.",
        "平均值的区间为按题目的整群自助法，采用扩展百分位数（Hesterberg 2015），PCG64 种子 0，置信度 95%：同一题的各次重复与各水平一起抽取。",
    ),
    "how_front": (
        "The front has the dots that no other dominates: none needs at most as much and gives at least as much, with one of both better.",
        "前沿由不被支配的点组成：没有别的点能耗不高于它、质量不低于它，且至少一方面更好。",
    ),
    "how_files": (
        "Every run is in data/raw, one row each in results.csv.",
        "每次运行的原始记录在 data/raw，汇总表 results.csv 每次运行一行。",
    ),
    # measures of quality
    "measure_judge": ("Judge", "评判分"),
    "measure_exact_match": ("Exact match", "精确匹配"),
    "measure_contains": ("Contains the answer", "包含答案"),
    "measure_token_f1": ("Token F1", "词元 F1"),
    "measure_code_tests": ("Code tests", "代码测试"),
    "measure_bartscore": ("BARTScore", "BARTScore"),
    "measure_bertscore": ("BERTScore", "BERTScore"),
    "measure_rouge": ("ROUGE", "ROUGE"),
    "measure_distinct": ("Distinct n-grams", "不同 n 元组比例"),
    "measure_repetition": ("Repetition", "重复度"),
    "measure_self_bleu": ("Self-BLEU", "Self-BLEU"),
}
"""English and Chinese by key."""


def word(key: str, **parts: Any) -> Both:
    """One of these, its gaps filled; see `both_of`."""
    return both_of(WORDS, key, **parts)


def measure_word(measure: str) -> Both:
    """What a measure of quality is called."""
    key = f"measure_{measure}"
    return word(key) if key in WORDS else same(measure, 40)
