"""The copies on paper as Chromium prints them: one page, a code to scan, a key to type."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers.scanner import scan
from otp_enroll import Enroller, Policy, RecoveryCodes, Setup, Unencrypted
from otp_enroll.core.secret import Secret
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

POINTS_A_MM = 72 / 25.4
PAPERS = {"A4": (595, 842), "Letter": (612, 792)}
# In a paragraph that runs right to left these stand in another order, unless they are isolated.
DIGITS_FIRST = "2345672222333344445555ABCD2345EF"
LONGEST = {"issuer": "ش" * 64, "account_name": "ص ض" * 42 + "ص"}
WIDEST = {"issuer": "W" * 64, "account_name": "W" * 128}

Tool = Callable[[str], str]


@dataclass
class Word:
    """A word on paper: its text, and where it stands, in points from the top left."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


class Printer:
    """Prints HTML and reads the paper again.

    Args:
        folder: Where the papers go.
        need_tool: Finds Chromium and Poppler, or skips.
    """

    def __init__(self, folder: Path, need_tool: Tool) -> None:
        self._folder = folder
        self._need = need_tool
        self._pdf = folder / "sheet.pdf"

    def print(self, html: str, paper: str) -> None:
        page = self._folder / "sheet.html"
        sized = html.replace("</head>", f"<style>@page {{ size: {paper}; }}</style></head>")
        page.write_text(sized, encoding="utf-8")
        self._run(
            "chromium",
            "--headless",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={self._folder / 'profile'}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={self._pdf}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # its own sandbox refuses root
            page.as_uri(),
        )

    def _run(self, tool: str, *arguments: str) -> str:
        command = [self._need(tool), *arguments]
        return subprocess.run(  # noqa: S603  # a fixed program
            command, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    def size(self) -> tuple[int, tuple[int, int]]:
        """Return the number of pages, and width and height in points."""
        told = self._run("pdfinfo", str(self._pdf))
        pages = re.search(r"Pages: +(\d+)", told)
        sides = re.search(r"Page size: +([\d.]+) x ([\d.]+)", told)
        assert pages
        assert sides
        return int(pages[1]), (round(float(sides[1])), round(float(sides[2])))

    def picture(self, dots_per_inch: int) -> Image.Image:
        target = self._folder / "sheet"
        self._run(
            "pdftoppm", "-r", str(dots_per_inch), "-gray", "-singlefile", "-png",
            str(self._pdf), str(target),
        )  # fmt: skip
        with Image.open(target.with_suffix(".png")) as image:
            return image.convert("L")

    def words(self) -> list[Word]:
        """Read the words, in the order of the document."""
        told = self._run("pdftotext", "-raw", "-bbox", str(self._pdf), "-")
        found = re.findall(
            r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">([^<]*)<',
            told,
        )
        return [Word(text, *map(float, sides)) for *sides, text in found]


@pytest.fixture
def printer(tmp_path: Path, need_tool: Tool) -> Printer:
    for tool in ("chromium", "pdfinfo", "pdftoppm", "pdftotext"):
        need_tool(tool)
    return Printer(tmp_path, need_tool)


def made(
    *, issuer: str = "Exir", account_name: str = "sara@example.com", policy: Policy | None = None
) -> tuple[Setup, RecoveryCodes]:
    """Begin and confirm a setup whose key begins with groups of digits, if it has 20 bytes."""
    chosen = Secret.from_base32(DIGITS_FIRST).reveal()
    clock = FrozenClock()
    enroller = Enroller(
        MemoryStore(),
        issuer=issuer,
        cipher=Unencrypted(),
        clock=clock,
        policy=policy or Policy(),
        random_bytes=lambda n: chosen if n == len(chosen) else os.urandom(n),
    )
    setup = enroller.begin("user-42", account_name=account_name)
    code = FakeAuthenticator(setup.uri, clock).code()
    codes = enroller.confirm("user-42", code, setup_id=setup.id).recovery_codes
    assert codes is not None
    return setup, codes


def in_reading_order(words: list[Word]) -> list[str]:
    """Order words of Latin letters as an eye reads them: by line, then from the left."""
    return [word.text for word in sorted(words, key=lambda word: (round(word.top / 4), word.left))]


def recovery_codes_of(words: list[Word]) -> list[Word]:
    """Pick the words that are recovery codes: 24 characters and five hyphens, in ASCII."""
    return [word for word in words if word.text.isascii() and len(word.text) == 29]


each_paper = pytest.mark.parametrize("paper", PAPERS)
each_locale = pytest.mark.parametrize("locale", ["en", "fa"])


@pytest.mark.requirement("R-30", "R-85", "R-86", "R-87")
@each_paper
@each_locale
def test_a_printed_key_is_scanned_and_read(printer: Printer, locale: str, paper: str) -> None:
    """One page; its QR code is the URI; the groups stand in order from the left, 12 pt or more."""
    setup, _ = made()
    assert setup.key == DIGITS_FIRST

    printer.print(setup.sheet(locale).html(), paper)

    assert printer.size() == (1, PAPERS[paper])
    (code,) = scan(printer.picture(150))
    assert code.text == setup.uri
    words = printer.words()
    groups = [word for word in words if word.text in setup.key_groups]
    assert in_reading_order(groups) == list(setup.key_groups)
    # A letter of a monospaced face is 0.6 em wide.
    assert all(group.right - group.left >= 4 * 0.6 * 12 for group in groups)
    texts = [word.text for word in words]
    assert texts.count(setup.check_word) == 1
    assert texts.count(setup.sheet().number) == 1


@pytest.mark.requirement("R-84", "R-85", "R-86", "R-87")
@each_paper
@each_locale
def test_printed_recovery_codes_are_read(printer: Printer, locale: str, paper: str) -> None:
    """One page; ten codes from top to bottom, each whole on its line, 12 pt or more."""
    _, codes = made()

    printer.print(codes.sheet(locale).html(), paper)

    assert printer.size() == (1, PAPERS[paper])
    found = recovery_codes_of(printer.words())
    assert in_reading_order(found) == list(codes)
    assert all(code.right - code.left >= 29 * 0.6 * 12 for code in found)


@pytest.mark.requirement("R-30", "R-85")
@each_paper
@each_locale
@pytest.mark.parametrize("names", [LONGEST, WIDEST], ids=["longest", "widest"])
def test_the_longest_names_still_fit_on_a_page(
    printer: Printer, locale: str, paper: str, names: Any
) -> None:
    """With the longest names and key the sheet is one page, and a good scanner reads its code."""
    setup, _ = made(policy=Policy(algorithm="SHA512", digits=8), **names)

    printer.print(setup.sheet(locale).html(), paper)

    assert printer.size() == (1, PAPERS[paper])
    (code,) = scan(printer.picture(300))
    assert code.text == setup.uri
    corners = code.position
    side = (corners.top_right.x - corners.top_left.x) / 300 * 25.4
    assert side / (17 + 4 * setup.qr.version) >= 0.4
    groups = [word for word in printer.words() if word.text in setup.key_groups]
    assert in_reading_order(groups) == list(setup.key_groups)


@pytest.mark.requirement("R-85")
@each_paper
@each_locale
def test_the_most_codes_still_fit_on_a_page(printer: Printer, locale: str, paper: str) -> None:
    """32 codes and the longest names are one page, too, in two columns."""
    _, codes = made(policy=Policy(recovery_codes=32), **LONGEST)

    printer.print(codes.sheet(locale).html(), paper)

    assert printer.size() == (1, PAPERS[paper])
    found = recovery_codes_of(printer.words())
    middle = PAPERS[paper][0] / 2
    columns = [
        [
            code.text
            for code in sorted(found, key=lambda code: code.top)
            if (code.left > middle) is right
        ]
        for right in (locale == "fa", locale == "en")
    ]
    assert [*columns[0], *columns[1]] == list(codes)
