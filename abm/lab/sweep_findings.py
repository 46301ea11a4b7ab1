"""What a sweep found, in sentences made from its numbers: the headline of the report and the titles of its figures."""

from __future__ import annotations

import math

from abm.lab.sweep_effects import Effect, factor_effect, level_effect, mean_of, variant_effect
from abm.lab.sweep_results import Dimension, SweepResults
from abm.lab.sweep_words import amount, difference, interval_text, level_text, minus, outcome_words, sentence, span_text, verb_of, with_unit
from abm.lab.wording import count, names, plural

MOST_VARIANTS = 3  # in a headline


def headline(results: SweepResults) -> str:
    """One sentence: what becomes of the main outcome, with its interval; or why that cannot be said.

    Against the baseline, where there is one, unless the first expectation of the file is about a factor; else along that factor,
    or the first one.
    """
    missing = no_answer(results, results.main)
    if missing:
        return missing
    expected = [each["factor"] for each in results.plan.expectations[:1] if each["factor"]]
    if results.others and not expected:
        return _against_baseline(results)
    if results.dimensions:
        return _along_factor(results, (*expected, *results.dimensions)[0])
    return _average(results)


def no_answer(results: SweepResults, outcome: str) -> str:
    """Why the runs say nothing about an outcome; an empty string when they say something."""
    words, runs = outcome_words(outcome), results.runs.height
    if not runs:
        return f"No answer: none of {plural(results.ended, 'run')} ended well."
    if not results.defined(outcome):
        needed = results.of(outcome).exercised_by
        return f"Not tested: {words} {verb_of(words, 'needs')} {needed}, and there was none in any of {plural(runs, 'run')}."
    if results.idle(outcome):
        return (
            f"Not tested: {words} was zero in {'the only run' if runs == 1 else f'all {count(runs)} runs'}. "
            "What would cause it never happened, which is no evidence that it cannot."
        )
    return ""


def _against_baseline(results: SweepResults) -> str:
    """Variants with an effect one by one, the others together."""
    effects = {name: variant_effect(results, name, results.main) for name in results.others}
    sure = [name for name in effects if effects[name].sign]
    same = [name for name in effects if effects[name].unchanged]
    rest = [name for name in effects if name not in sure and name not in same]
    told = [effect_text(results, effects[name], name) for name in sure[:MOST_VARIANTS]]
    if len(sure) > MOST_VARIANTS:
        told.append(f"{plural(len(sure) - MOST_VARIANTS, 'more variant')} have an effect")
    noun, unit = outcome_words(results.main), results.unit(results.main)
    if len(rest) == 1:
        told.append(effect_text(results, effects[rest[0]], rest[0]))
    elif rest:
        largest = max(rest, key=lambda name: abs(effects[name].interval.estimate))
        found = effects[largest].interval
        size = f"{difference(found.estimate, unit)} ({interval_text(found, unit, signs=True)}) with {largest}"
        told.append(f"{names(rest)} have no demonstrable effect on {noun}: at most {size}")
    if len(same) == 1:
        told.append(effect_text(results, effects[same[0]], same[0]))
    elif same:
        pairs = plural(effects[same[0]].pairs, "pair")
        told.append(f"{names(same)} change {noun} in none of {pairs} of runs")
    start = averaged(results)
    return f"{start}{'against' if start else 'Against'} {results.baseline}, {'; '.join(told)}."


def _along_factor(results: SweepResults, factor: str) -> str:
    text = effect_text(results, factor_effect(results, factor, results.main), step_text(results.dimensions[factor]))
    return f"{sentence(averaged(results, factor) + text)}{moving_along(results, factor)}."


def _average(results: SweepResults) -> str:
    """Nothing was varied."""
    unit, words, mean = results.unit(results.main), outcome_words(results.main), mean_of(results.runs, results.main)
    told = f"{amount(mean.estimate, unit)} ({interval_text(mean, unit)})"
    return f"{sentence(words)} {verb_of(words, 'is')} on average {told} over {plural(results.seeds, 'world')}."


def effect_text(results: SweepResults, effect: Effect, subject: str) -> str:
    """An effect as a clause: SUBJECT raises highest bad debt by 1.2 k USD (95 % interval ...), from ... to ..."""
    outcome, unit = outcome_words(effect.outcome), results.unit(effect.outcome)
    if not effect.pairs:
        return f"{subject} cannot be compared: {outcome} is a number in no pair of runs"
    if effect.unchanged:
        return f"{subject} changes {outcome} in none of {plural(effect.pairs, 'pair')} of runs{left_out(effect)}"
    inside = interval_text(effect.interval, unit, signs=True)
    if effect.sign == 0:
        text = f"{subject} has no demonstrable effect on {outcome}: {difference(effect.interval.estimate, unit)} ({inside})"
        if math.isfinite(effect.detectable):
            text += f"; an effect of {minus(difference(effect.detectable, unit))} would have been found"
        return text + left_out(effect)
    verb = "raises" if effect.sign > 0 else "lowers"
    size = minus(difference(effect.interval.estimate, unit))
    text = f"{subject} {verb} {outcome} by {size} ({inside})"
    if math.isfinite(effect.first):
        text += f", from {span_text(amount(effect.first, unit), amount(effect.second, unit))} on average"
    return text + left_out(effect)


def left_out(effect: Effect) -> str:
    """How many pairs say nothing, because a run failed or has no such number; empty where all do."""
    return f" ({plural(effect.left_out, 'other pair')} cannot be compared)" if effect.left_out else ""


def step_text(dimension: Dimension) -> str:
    """Going from one end of a factor to the other, as a subject: raising oracle lag from 0 to 120 blocks."""
    if dimension.ordered:
        return f"raising {dimension.words} from {level_text(dimension.low)} to {with_unit(level_text(dimension.high), dimension.unit)}"
    return f"going from {level_text(dimension.levels[0])} to {level_text(dimension.levels[-1])} in {dimension.words}"


def averaged(results: SweepResults, but: str = "") -> str:
    """What an effect is an average over, besides worlds, as the beginning of a sentence; empty where there is nothing else."""
    if but and not results.crossed and not results.drawn:
        return ""
    others = [dimension.words for name, dimension in results.dimensions.items() if name != but]
    others += ["variants"] if but and len(results.variants) > 1 else []
    return f"Averaged over {names(others)}, " if others else ""


def moving_along(results: SweepResults, factor: str) -> str:
    """What changes together with a factor, where points are listed or zipped."""
    others = [dimension.words for name, dimension in results.dimensions.items() if name != factor]
    if results.crossed or results.drawn or not others:
        return ""
    return f"; {names(others)} {'changes' if len(others) == 1 else 'change'} with it"


def effect_title(results: SweepResults, effect: Effect, cause: str, way: str) -> str:
    """An effect for the title of a figure, without the interval that the figure shows. cause: what has it; way: how that changes."""
    outcome, unit = outcome_words(effect.outcome), results.unit(effect.outcome)
    if not effect.pairs:
        return f"{sentence(outcome)} cannot be compared: it is a number in no pair of runs"
    if effect.unchanged:
        return f"{sentence(cause)} changes {outcome} in no pair of runs"
    if effect.sign == 0:
        return f"No demonstrable effect of {cause} on {outcome}"
    verb = verb_of(outcome, "rises" if effect.sign > 0 else "falls")
    if math.isfinite(effect.first):
        return f"{sentence(outcome)} {verb} from {span_text(amount(effect.first, unit), amount(effect.second, unit))} {way}"
    return f"{sentence(outcome)} {verb} by {minus(difference(effect.interval.estimate, unit))} {way}"


def variant_title(results: SweepResults, effect: Effect, variant: str) -> str:
    """The difference that a variant makes, for the title of a figure."""
    if not effect.sign:
        return effect_title(results, effect, variant, "")
    outcome, unit = outcome_words(effect.outcome), results.unit(effect.outcome)
    first, second = amount(effect.first, unit), amount(effect.second, unit)
    verb = verb_of(outcome, "rises" if effect.sign > 0 else "falls")
    return f"{sentence(outcome)} {verb} from {first} under {results.baseline} to {second} under {variant}"


def turning_point(results: SweepResults, factor: str, outcome: str) -> tuple[str, object] | None:
    """("largest" or "smallest", level) where an inner level of a factor differs from both ends, both intervals beyond zero."""
    dimension = results.dimensions[factor]
    if not dimension.ordered or len(dimension.levels) < 3 or results.idle(outcome):
        return None
    means = [mean_of(results.runs.filter(results.runs[factor] == level), outcome).estimate for level in dimension.levels]
    inner = [(mean, place) for place, mean in enumerate(means[1:-1], start=1) if math.isfinite(mean)]
    ends = (dimension.levels[0], dimension.levels[-1])
    for word, sign, (_, place) in (("largest", 1, max(inner, default=(0.0, 0))), ("smallest", -1, min(inner, default=(0.0, 0)))):
        level = dimension.levels[place]
        if place and all(level_effect(results, factor, outcome, end, level).sign == sign for end in ends):
            return word, level
    return None


def response_title(results: SweepResults, factor: str, outcome: str) -> str:
    """How an outcome follows a factor, for the title of a figure."""
    missing = no_answer(results, outcome)
    if missing:
        return missing.partition(". ")[0].removesuffix(".")
    dimension = results.dimensions[factor]
    words, turn = outcome_words(outcome), turning_point(results, factor, outcome)
    if turn:
        return f"{sentence(words)} {verb_of(words, 'is')} {turn[0]} in between: at {dimension.words} {level_text(turn[1])}"
    ends = (dimension.low, dimension.high) if dimension.ordered else (dimension.levels[0], dimension.levels[-1])
    way = f"as {dimension.words} goes from {level_text(ends[0])} to {with_unit(level_text(ends[1]), dimension.unit)}"
    return effect_title(results, factor_effect(results, factor, outcome), dimension.words, way)
