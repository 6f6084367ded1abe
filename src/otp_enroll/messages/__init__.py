"""Texts for people: one for each refusal, failure, event and warning, in their language.

A text is found by the stable ``code`` and filled with the facts that the object carries. None
shows a key, a code, a setup id or what somebody typed. Errors carry facts and not sentences
because the one who raises does not know the language, the time zone or the page of the reader.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from otp_enroll.errors import EnrollmentError
from otp_enroll.events import Event
from otp_enroll.messages import sentences
from otp_enroll.messages.catalogue import Catalogue, Phrase, Value
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

    An event is worded for the owner of the account, with what to do if it was a stranger
    (SP 800-63B-4 §4.6). A class of your own has the text of the nearest class above it that
    has one.

    Args:
        about: An error that the library raised, an event, or a warning of ``Setup.warnings``.
        locale: The language: ``"fa"``, ``"fa-IR"``; English where there is no catalogue.
        now: The present time. With it a time reads "in 4 minutes", without it it is in UTC.
        catalogues: Where you keep catalogues of your own, which come first.
        not_you: Whether an event's text says what to do if it was a stranger. A page that lists
            several events says it once, in words of its own.

    Returns:
        Plain text: a template must escape it, since names that users chose stand in it.

    Raises:
        TypeError: A wrong type.
        ValueError: ``now`` has no time zone.
    """
    catalogue = Catalogue.of(locale, catalogues)
    # Whole sentences, joined here: no language's grammar survives parts of sentences.
    context, said = _describe(catalogue, about, not_you=not_you)
    return " ".join(_say(catalogue, context, sentence, now) for sentence in said)


def _describe(
    catalogue: Catalogue, about: EnrollmentError | Event | ProvisioningWarning, *, not_you: bool
) -> tuple[str, Iterable[Sentence]]:
    """Return the context of the catalogue, and the sentences to take from it."""
    match about:
        case EnrollmentError():
            return "error", sentences.describe_error(about, _find_code(catalogue, "error", about))
        case Event():
            said = sentences.describe_event(about, _find_code(catalogue, "event", about))
            return "event", chain(said, sentences.advise_on_stranger(about) if not_you else ())
        case ProvisioningWarning():
            apps = tuple(_name_app(catalogue, app) for app in about.apps)
            return "warning", sentences.describe_warning(about, apps)
        case _:
            raise TypeError("text takes an EnrollmentError, an Event or a ProvisioningWarning")


def duration(seconds: int, *, locale: str = "en", catalogues: Path | None = None) -> str:
    """Write a length of time in one unit, rounded up: "30 seconds", "2 hours".

    Args:
        seconds: The length of time.
        locale: The language: ``"fa"``, ``"fa-IR"``; English where there is no catalogue.
        catalogues: Where you keep catalogues of your own, which come first.

    Raises:
        TypeError: A wrong type.
        ValueError: ``seconds`` is below zero.
    """
    return Catalogue.of(locale, catalogues).duration(seconds)


def _find_code(catalogue: Catalogue, context: str, about: EnrollmentError | Event) -> str:
    """Return the code of the nearest class that has a text; the roots of both trees have one."""
    # An app may derive a class of its own; a page must not fail because nobody translated it.
    codes = (getattr(kind, "code", "") for kind in type(about).__mro__)
    return next(code for code in codes if catalogue.knows(context, code))


def _name_app(catalogue: Catalogue, app: str) -> str:
    """Name an app in the language, where its English name says more than a brand."""
    return Phrase(catalogue.say("app", app)) if catalogue.knows("app", app) else app


def _say(catalogue: Catalogue, context: str, sentence: Sentence, now: datetime | None) -> str:
    """Fill one sentence; times are written out first, as phrases of the same language."""
    values: dict[str, Value] = {}
    for name, value in sentence.values.items():
        match value:
            case datetime():
                values[name] = Phrase(catalogue.when(value, now))
            case timedelta():
                values[name] = Phrase(catalogue.duration(value // timedelta(seconds=1)))
            case _:
                values[name] = value
    if sentence.n is None:
        return catalogue.say(context, sentence.code, **values)
    return catalogue.count(context, sentence.code, sentence.n, **values)
