"""What to tell people: a text for each refusal, failure, event and warning, in their language.

The text is found by the stable ``code`` and filled with the facts that the thing carries. None
shows a key, a code, a setup id or what somebody typed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from otp_enroll.errors import EnrollmentError
from otp_enroll.events import Event
from otp_enroll.messages import sentences
from otp_enroll.messages.catalogue import Catalogue, Fact, Phrase
from otp_enroll.messages.recovery_advice import how_to_get_back_in
from otp_enroll.messages.sentences import Sentence
from otp_enroll.provisioning.uri import ProvisioningWarning

__all__ = ["Catalogue", "duration", "how_to_get_back_in", "text"]


def text(
    about: EnrollmentError | Event | ProvisioningWarning,
    *,
    locale: str = "en",
    now: datetime | None = None,
    catalogues: Path | None = None,
    not_you: bool = True,
) -> str:
    """Say in a few sentences what happened, what to do next, and what was not lost.

    An event is told to the owner of the account, with what to do if it was a stranger
    (SP 800-63B-4 §4.1.2.1). A class of your own is told as the nearest one that has a text.

    Args:
        about: What the library raised, told or warned of.
        locale: The language: ``"fa"``, ``"fa-IR"``; English where there is no catalogue.
        now: The present time. With it a time is told as "in 4 minutes", without it in UTC.
        catalogues: Where you keep catalogues of your own, which come first.
        not_you: Whether an event's text says what to do if it was a stranger. A page that lists
            several events says it once, in words of its own.

    Raises:
        TypeError: A wrong type.
        ValueError: ``now`` has no time zone.
    """
    speaker = Catalogue.of(locale, catalogues)
    match about:
        case EnrollmentError():
            context, told = "error", sentences.of_error(about, _code(speaker, "error", about))
        case Event():
            context, told = "event", sentences.of_event(about, _code(speaker, "event", about))
            told = chain(told, sentences.of_stranger(about) if not_you else ())
        case ProvisioningWarning():
            context, told = "warning", sentences.of_warning(about)
        case _:
            raise TypeError("text tells of an EnrollmentError, an Event or a ProvisioningWarning")
    return " ".join(_said(speaker, context, sentence, now) for sentence in told)


def duration(seconds: int, *, locale: str = "en", catalogues: Path | None = None) -> str:
    """Write a length of time in one unit, rounded up: "30 seconds", "2 hours".

    Raises:
        TypeError: A wrong type.
        ValueError: ``seconds`` is below zero.
    """
    return Catalogue.of(locale, catalogues).duration(seconds)


def _code(speaker: Catalogue, context: str, about: EnrollmentError | Event) -> str:
    ancestors = (getattr(kind, "code", "") for kind in type(about).__mro__)
    return next(code for code in ancestors if speaker.knows(context, code))


def _said(speaker: Catalogue, context: str, sentence: Sentence, now: datetime | None) -> str:
    facts: dict[str, Fact] = {}
    for name, fact in sentence.facts.items():
        match fact:
            case datetime():
                facts[name] = Phrase(speaker.when(fact, now))
            case timedelta():
                facts[name] = Phrase(speaker.duration(fact // timedelta(seconds=1)))
            case _:
                facts[name] = fact
    if sentence.n is None:
        return speaker.say(context, sentence.code, **facts)
    return speaker.count(context, sentence.code, sentence.n, **facts)
