"""Learning rates as functions of the step, worked by hand."""

import math

import pytest

from fastnn.schedules import SCHEDULES, ConstantRate, CosineDecay, StepDecay, WarmUp


def test_constant_rate_stays():
    assert ConstantRate(0.3)(0) == ConstantRate(0.3)(10**6) == 0.3


def test_step_decay_falls_by_its_factor_after_so_many_steps():
    decay = StepDecay(0.8, every=10, factor=0.5)
    assert [decay(step) for step in (0, 9, 10, 19, 20)] == [0.8, 0.8, 0.4, 0.4, 0.2]


def test_cosine_decay_falls_along_half_a_cosine_and_stays():
    cosine = CosineDecay(0.8, steps=8, final=0.2)
    assert cosine(0) == 0.8
    assert cosine(4) == pytest.approx(0.5)
    assert cosine(2) == pytest.approx(0.2 + 0.6 * (1 + math.sqrt(0.5)) / 2)
    assert cosine(8) == cosine(100) == pytest.approx(0.2)


def test_warm_up_rises_linearly_and_then_follows_from_the_beginning():
    warm = WarmUp(StepDecay(0.8, every=10, factor=0.5), steps=4)
    assert [warm(step) for step in range(5)] == [0.2, 0.4, 0.6000000000000001, 0.8, 0.8]
    assert (warm(13), warm(14)) == (0.8, 0.4)


@pytest.mark.parametrize(
    ("name", "arguments", "rate"),
    [("constant", (0.4,), 0.4), ("step", (0.4, 5), 0.2), ("cosine", (0.4, 10), 0.2)],
)
def test_schedule_by_name(name, arguments, rate):
    assert set(SCHEDULES) == {"constant", "step", "cosine"}
    assert SCHEDULES[name](*arguments)(5) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CosineDecay(0.1, steps=0), "steps must be at least 1, not 0"),
        (lambda: StepDecay(0.1, every=0), "every must be at least 1, not 0"),
        (lambda: WarmUp(ConstantRate(0.1), steps=-1), "steps must be at least 1, not -1"),
    ],
)
def test_schedule_of_no_steps_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
