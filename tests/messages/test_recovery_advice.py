"""How to get back in: what it says is what the policy does."""

from __future__ import annotations

from typing import Any

import pytest

from otp_enroll import STRICT, AttemptBudget, Policy
from otp_enroll.messages.recovery_advice import how_to_get_back_in


def advice(policy: Policy, locale: str = "en") -> str:
    return "\n".join(how_to_get_back_in(policy, locale=locale))


@pytest.mark.requirement("R-100")
@pytest.mark.parametrize(
    ("policy", "english", "persian"),
    [
        (Policy(), "10 recovery codes", "۱۰ کد بازیابی"),
        (Policy(recovery_codes=1), "1 recovery code. It", "۱ کد بازیابی"),
        (Policy(), "After 5 wrong codes in a row", "پس از ۵ رمز نادرست پیاپی"),
        (
            Policy(budget=AttemptBudget(free_attempts=1)),
            "After 1 wrong code in a row",
            "پس از ۱ رمز نادرست",
        ),
        (Policy(), "a pause of 30 seconds", "باید ۳۰ ثانیه صبر کنید"),
        (Policy(), "up to 1 hour", "حداکثر تا ۱ ساعت"),
        (
            Policy(),
            "After 50 wrong codes in a row, or 100 within 30 days",
            "پس از ۵۰ رمز نادرست پیاپی یا ۱۰۰ رمز نادرست در ۳۰ روز",
        ),
        (
            Policy(budget=AttemptBudget(free_attempts=1, first_wait=60, longest_wait=7200)),
            "a pause of 1 minute. Each further wrong one doubles the pause, up to 2 hours.",
            "حداکثر تا ۲ ساعت",
        ),
        (
            Policy(budget=AttemptBudget(first_wait=60, longest_wait=60)),
            "brings the same pause",
            "همین مدت صبر کنید",
        ),
        (
            Policy(budget=AttemptBudget(lock_after=10, lock_after_in_30_days=90)),
            "After 10 wrong codes in a row, or 90 within 30 days",
            "پس از ۱۰ رمز نادرست پیاپی یا ۹۰ رمز",
        ),
        (Policy(), "If you kept the setup key on paper", "اگر کلید راه‌اندازی را روی کاغذ"),
        (STRICT, "During the setup you wrote down or printed the setup key", "هنگام راه‌اندازی"),
        (Policy(backup="checked"), "we compared your copy", "مقایسه کرده‌ایم"),
        (
            Policy(digits=8, period=60, algorithm="SHA256"),
            "8 digits, a new code every 60 seconds, \u2068SHA256\u2069",
            "رمز ۸ رقمی، مدت اعتبار هر رمز ۶۰ ثانیه، \u2068SHA256\u2069",
        ),
        (Policy(), "more than one authenticator", "چند برنامهٔ رمزساز"),
    ],
)
def test_the_text_is_made_from_the_policy(policy: Policy, english: str, persian: str) -> None:
    """The numbers and the duties of the policy in force are in the text."""
    assert english in advice(policy)
    assert persian in advice(policy, "fa")


@pytest.mark.requirement("R-100")
def test_what_the_policy_does_not_have_is_not_there() -> None:
    """No settings where every app knows them, no others where one authenticator is allowed."""
    assert "asks for settings" not in advice(Policy())
    assert "more than one authenticator" not in advice(Policy(max_authenticators=1))
    assert "doubles" not in advice(Policy(budget=AttemptBudget(first_wait=60, longest_wait=60)))


@pytest.mark.requirement("R-100")
@pytest.mark.parametrize(
    "budget",
    [
        AttemptBudget(free_attempts=10, lock_after=10),
        AttemptBudget(free_attempts=10, lock_after_in_30_days=10, warn_after_in_30_days=10),
    ],
)
def test_where_the_lock_comes_first_codes_have_no_pause(budget: AttemptBudget) -> None:
    """When as many wrong codes lock as would begin the waits, recovery codes alone have waits."""
    assert "After 10 wrong recovery codes in a row there is a pause" in advice(
        Policy(budget=budget)
    )
    assert "in the same way" not in advice(Policy(budget=budget))
    assert "in the same way" in advice(Policy(budget=AttemptBudget(free_attempts=9, lock_after=10)))


@pytest.mark.requirement("R-100")
@pytest.mark.parametrize("locale", ["en", "fa"])
def test_the_way_back_ends_at_the_help_desk(locale: str) -> None:
    """Whatever the policy, the last paragraph is for those who have nothing left."""
    endings = {how_to_get_back_in(policy, locale=locale)[-1] for policy in (Policy(), STRICT)}

    assert len(endings) == 1
    assert {"en": "help desk", "fa": "پشتیبانی"}[locale] in endings.pop()


def test_only_a_policy_is_taken() -> None:
    """Anything else is a TypeError."""
    budget: Any = AttemptBudget()

    with pytest.raises(TypeError, match="Policy"):
        how_to_get_back_in(budget)
