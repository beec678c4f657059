"""The rules that stand before a rating: whoever breaks one is not rated, and is told why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hexgate.metrics.rating_parts import Estimate, Floor, Form, Reason, Scheme, Served

__all__ = ["refusals"]


def refusals(
    served: Sequence[Served],
    form: Form,
    floor: Floor,
    scheme: Scheme,
    acceptance: Estimate,
    quality: Estimate,
) -> list[Reason]:
    """Every reason why requests are not rated, in a fixed order; empty where they are.

    Args:
        served: all requests of the suite.
        form: what a failure is.
        floor: the least quality.
        scheme: the parameters.
        acceptance: acceptance rate.
        quality: mean quality.
    """
    found = [*_energy(served), *_evidence(served, form, floor, scheme), *_ended(served, floor)]
    found += _floor("acceptance", "acceptance rate", "接受率", acceptance, floor.acceptance, floor.margin)
    found += _floor("quality", "mean quality", "平均质量", quality, floor.quality, floor.margin)
    return found


def _energy(served: Sequence[Served]) -> Iterator[Reason]:
    n = len(served)
    missing = sum(one.energy_j is None for one in served)
    if missing:
        yield Reason(
            "energy",
            f"the energy of {missing} of {n} requests was not measured",
            f"{n} 次请求中有 {missing} 次未测到能耗",
        )
    estimated = sum(one.estimated for one in served)
    if estimated:
        yield Reason(
            "estimated",
            f"the energy of {estimated} of {n} requests is estimated, not measured",
            f"{n} 次请求中有 {estimated} 次的能耗是估算而非实测",
        )
    if not missing and not sum(one.energy_j or 0.0 for one in served) > 0:
        yield Reason("energy_above_zero", "the energies do not add up to more than zero", "能耗总和不大于零")


def _evidence(served: Sequence[Served], form: Form, floor: Floor, scheme: Scheme) -> Iterator[Reason]:
    questions = len({one.question for one in served})
    least = scheme.least_questions
    if questions < least:
        yield Reason(
            "questions",
            f"{questions} questions, at least {least} are needed",
            f"只有 {questions} 个问题，至少需要 {least} 个",
        )
    answers = [one for one in served if one.completed]
    n, share = len(answers), f"{scheme.least_scored:.0%}"
    # With no answer at all the rule for completion speaks.
    if form is Form.ACCEPTED or floor.acceptance is not None:
        checked = sum(one.accepted is not None for one in answers)
        if checked < scheme.least_scored * n:
            yield Reason(
                "scores",
                f"{checked} of {n} answers were checked for acceptance, at least {share} are needed",
                f"{n} 个回答中只有 {checked} 个检验过是否接受，至少需要 {share}",
            )
    if form is Form.GRADED or floor.quality is not None:
        scored = sum(one.quality is not None for one in answers)
        if scored < scheme.least_scored * n:
            yield Reason(
                "scores",
                f"{scored} of {n} answers have a score of quality, at least {share} are needed",
                f"{n} 个回答中只有 {scored} 个有质量评分，至少需要 {share}",
            )


def _ended(served: Sequence[Served], floor: Floor) -> Iterator[Reason]:
    answers = [one for one in served if one.completed]
    if len(answers) < floor.completion * len(served):
        yield Reason(
            "completion",
            f"{len(answers)} of {len(served)} requests were answered, at least {floor.completion:.0%} are needed",
            f"{len(served)} 次请求中只有 {len(answers)} 次得到回答，至少需要 {floor.completion:.0%}",
        )
    if any(one.truncated is None for one in answers):
        yield Reason("truncation_unknown", "it is not known which answers were cut", "不知道哪些回答被截断")
        return
    cut = sum(bool(one.truncated) for one in answers)
    if cut > floor.truncation * len(answers):
        yield Reason(
            "truncation",
            f"{cut} of {len(answers)} answers were cut, at most {floor.truncation:.0%} may be",
            f"{len(answers)} 个回答中有 {cut} 个被截断，至多允许 {floor.truncation:.0%}",
        )


def _floor(
    rule: str, en: str, zh: str, found: Estimate, least: float | None, margin: float
) -> Iterator[Reason]:
    if least is None:
        return
    if found.value is None:
        yield Reason(rule, f"{en} is not known, the floor is {least:g}", f"{zh}未知，下限为 {least:g}")
        return
    if found.value < least:
        yield Reason(
            rule,
            f"{en} {found.value:.3f} is below the floor of {least:g}",
            f"{zh} {found.value:.3f} 低于下限 {least:g}",
        )
        return
    bound = None if found.interval is None else found.interval.lower_bound
    if bound is None or bound < least - margin:
        shown = "unknown" if bound is None else f"{bound:.3f}"
        shown_zh = "未知" if bound is None else f"{bound:.3f}"
        yield Reason(
            f"{rule}_bound",
            f"the lower bound of the {en}, {shown}, is more than {margin:g} below the floor of {least:g}",
            f"{zh}的置信下界({shown_zh})比下限 {least:g} 低 {margin:g} 以上",
        )
