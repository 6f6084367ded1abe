"""The hunt for leaks that tests share: what must not come out, the places, and a whole life."""

from __future__ import annotations

import base64
import dataclasses
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from traceback import StackSummary, TracebackException, walk_tb
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

import pytest

import otp_enroll
from helpers.flows import wrong_for
from otp_enroll import Override, errors
from otp_enroll.testing import FakeAuthenticator, FrozenClock

USER: Final = "user-42"
VOUCHED: Final = Override(actor="help desk", reason="re-authenticated")
TESTS: Final = str(Path(__file__).parents[1])
PACKAGE: Final = str(Path(otp_enroll.__file__).parent)
OURS: Final = (PACKAGE, "<string>")  # dataclasses write their __init__ as "<string>"

SHORTEST_PIECE: Final = 12
"""Characters by which a secret is recognised where a printer cut it in the middle."""

_SEALED: Final = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")


def locals_of_ours(traceback: TracebackType | None) -> str:
    """Return the reprs of all locals in the library's frames of a traceback."""
    held: list[str] = []
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_filename.startswith(OURS):
            held.extend(f"{name}={shown(value)}" for name, value in frame.f_locals.items())
        traceback = traceback.tb_next
    return "\n".join(held)


def printed(error: BaseException) -> str:
    """Print an error with its causes and all locals, but for the frames of the tests themselves."""
    whole = TracebackException.from_exception(error)
    for link in links_of(whole):
        frames = [frame for frame in link.stack if not frame.filename.startswith(TESTS)]
        link.stack = StackSummary.from_list(frames)
    held = [
        f"{name} = {shown(value)}"
        for link in links_of(error)
        for frame, _ in walk_tb(link.__traceback__)
        if not frame.f_code.co_filename.startswith(TESTS)
        for name, value in frame.f_locals.items()
    ]
    return "".join([*whole.format(), *held])


def links_of(link: Any) -> Iterator[Any]:
    """Yield an error, or one to be printed, with all that it was raised from or beside of."""
    if link is not None:
        yield link
        yield from links_of(link.__cause__)
        yield from links_of(link.__context__)


def shown(value: object) -> str:
    """Return the repr of a local; some of Django ask the database, and that fails, too."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  # whatever it is, there is nothing to see
        return f"({type(error).__name__})"


def encodings_of(raw: bytes) -> Iterator[str]:
    """Yield each way in which bytes may be written."""
    base32 = base64.b32encode(raw).decode()
    groups = re.findall(".{1,4}", base32.rstrip("="))
    yield from (raw.hex(), raw.hex().upper(), raw.hex(" "), raw.hex(":"))
    yield from (base32, base32.lower(), " ".join(groups), "-".join(groups), ", ".join(base32[:16]))
    yield from (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
    yield from (quote(base64.b64encode(raw), safe=""), quote(raw, safe=""))
    yield from (raw.decode("latin-1"), repr(raw)[2:-1], ", ".join(map(str, raw)))


def ends_of(text: str) -> Iterator[str]:
    """Yield both ends of a text: what is left of it where a printer cut it."""
    text = text.rstrip("=")
    yield text[:SHORTEST_PIECE]
    yield text[-SHORTEST_PIECE:]


class Hunt:
    """Collects what comes out of the library, and what must not be in it."""

    def __init__(self) -> None:
        self.sinks: list[str] = []
        self.needles: set[str] = set()
        self.numbers: set[str] = set()

    def hide(self, *texts: str) -> None:
        """Register texts that must not come out, nor the ends of long ones."""
        for text in texts:
            for one in {text, quote(text, safe="")}:
                self.needles.update(ends_of(one))

    def hide_raw(self, raw: bytes) -> None:
        """Register bytes, however they are written."""
        self.hide(*encodings_of(raw))

    def hide_setup(self, setup: Any) -> None:
        """Register all forms of a setup's secret, and its id."""
        self.hide_raw(base64.b32decode(setup.key))
        self.hide_raw(base64.urlsafe_b64decode(setup.id + "="))
        self.hide(setup.id, "secret=" + setup.key)

    def hide_codes(self, codes: Iterable[str]) -> None:
        """Register recovery codes, spelt in every way."""
        for code in codes:
            plain = code.replace("-", "")
            for one in (code, plain, code.lower(), plain.lower(), code.replace("-", " ")):
                self.hide(one)

    def types(self, code: str) -> str:
        """Register a typed code of digits, which may be part of a longer word by chance."""
        self.numbers.add(code)
        return code

    def expect(self, kind: type[BaseException], act: Callable[[], object]) -> None:
        """Run what must raise, and collect what the error shows."""
        with pytest.raises(kind) as refusal:
            act()
        self.collect(refusal.value)

    def collect(self, error: BaseException) -> None:
        """Collect all that an error shows: itself, its causes, the locals of all frames."""
        self.sinks.append(printed(error))
        seen: BaseException | None = error
        while seen is not None:
            self.sinks += [
                str(seen),
                repr(seen),
                repr(vars(seen)),
                locals_of_ours(seen.__traceback__),
            ]
            seen = seen.__cause__ or seen.__context__

    def found(self, sinks: Iterable[str]) -> list[str]:
        """Return the needles that stand in a sink."""
        text = "\n".join(sinks)
        found = [needle for needle in self.needles if needle in text]
        words = set(re.findall(r"(?<![0-9A-Za-z])[0-9]{6}(?![0-9A-Za-z])", _SEALED.sub("", text)))
        return found + sorted(self.numbers & words)


def bad_text(hunt: Hunt) -> str:
    """Return a text that is no code, and that nothing else in a sink looks like."""
    text = "zq" + secrets.token_hex(6)
    hunt.hide(text)
    return text


def whole_flow(hunt: Hunt, enroller: Any, clock: FrozenClock) -> FakeAuthenticator:  # one long life
    """Run every verb, with every refusal that can be had, and collect what comes out.

    Returns:
        The phone of the account, which is confirmed.
    """
    setup = enroller.begin(USER, account_name="sara@example.com", context={"ip": "192.0.2.7"})
    hunt.hide_setup(setup)
    hunt.sinks += [repr(setup), str(setup), f"{setup}", repr(setup.qr), setup.qr.description]
    phone = FakeAuthenticator(setup.uri, clock)
    hunt.expect(TypeError, lambda: enroller.begin(USER, account_name=7))
    hunt.expect(
        errors.NotEnrolledError,
        lambda: enroller.begin(USER, account_name="s", proof=hunt.types("135790")),
    )
    hunt.expect(
        errors.SetupSupersededError,
        lambda: enroller.resume(USER, setup_id=bad_text(hunt)),
    )
    hunt.expect(
        errors.MalformedCodeError,
        lambda: enroller.confirm(USER, bad_text(hunt), setup_id=setup.id),
    )
    hunt.expect(
        TypeError,
        lambda: enroller.confirm(USER, bad_text(hunt).encode(), setup_id=setup.id),
    )
    hunt.expect(
        TypeError,
        lambda: enroller.confirm(USER, hunt.types("975310"), setup_id=bad_text(hunt).encode()),
    )
    hunt.expect(
        errors.ClockSkewError,
        lambda: enroller.confirm(USER, hunt.types(phone.code(-4)), setup_id=setup.id),
    )
    copy = enroller.check_key_copy(USER, bad_text(hunt), setup_id=setup.id)
    hunt.sinks.append(repr(copy))
    hunt.expect(
        errors.MalformedCodeError,
        lambda: enroller.check_key_copy(USER, bad_text(hunt) * 50, setup_id=setup.id),
    )
    hunt.expect(
        TypeError,
        lambda: enroller.check_key_copy(USER, bad_text(hunt).encode(), setup_id=setup.id),
    )
    confirmation = enroller.confirm(USER, hunt.types(phone.code()), setup_id=setup.id)
    assert confirmation.recovery_codes is not None
    codes = list(confirmation.recovery_codes)
    hunt.hide_codes(codes)
    hunt.sinks += [repr(confirmation), repr(dataclasses.asdict(confirmation))]
    clock.advance(60)
    code = hunt.types(phone.code())
    hunt.sinks.append(repr(enroller.verify(USER, code, context={"agent": "Firefox"})))
    hunt.expect(errors.CodeReusedError, lambda: enroller.verify(USER, code))
    hunt.expect(errors.NotEnrolledError, lambda: enroller.verify("nobody", code))
    hunt.expect(errors.NotPendingError, lambda: enroller.cancel(USER, setup_id=setup.id))
    hunt.expect(errors.ProofRequiredError, lambda: enroller.disable(USER))
    hunt.expect(TypeError, lambda: enroller.erase(USER, proof=bad_text(hunt)))
    hunt.sinks.append(repr(enroller.verify(USER, codes[0])))
    hunt.expect(errors.CodeReusedError, lambda: enroller.verify(USER, codes[0].lower()))
    wrong = hunt.types(wrong_for(phone))
    for _ in range(5):
        hunt.expect(errors.WrongCodeError, lambda: enroller.disable(USER, proof=wrong))
    hunt.expect(errors.TooManyAttemptsError, lambda: enroller.verify(USER, wrong))
    wrong_recovery = "ZZZZ-YYYY-XXXX-WWWW-VVVV-TTTT"
    hunt.hide_codes([wrong_recovery])
    hunt.expect(errors.WrongCodeError, lambda: enroller.verify(USER, wrong_recovery))
    clock.advance(60)
    renewed = enroller.regenerate_recovery_codes(USER, proof=hunt.types(phone.code()))
    hunt.hide_codes(renewed)
    hunt.sinks.append(repr(renewed))
    second = enroller.begin(USER, account_name="sara@example.com", proof=renewed[0])
    hunt.hide_setup(second)
    clock.advance(-7200)
    hunt.expect(errors.ServerClockError, lambda: enroller.verify(USER, hunt.types("424242")))
    clock.advance(7200 + 900)
    hunt.expect(errors.SetupExpiredError, lambda: enroller.resume(USER, setup_id=second.id))
    hunt.sinks.append(repr(enroller.status(USER)))
    hunt.sinks += [repr(enroller), repr(vars_of(enroller))]
    return phone


def vars_of(enroller: Any) -> list[str]:
    """Return the reprs of all that an enroller holds."""
    return [repr(getattr(enroller, name)) for name in enroller.__slots__]
