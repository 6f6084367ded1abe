"""The sheets as the browser prints them: one page, a code to scan, a key to type."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import pytest

from conftest import path_of_tool
from helpers.web_browser import Visitor, read_qr
from otp_enroll.core.secret import grouped

PAPERS: Final = ("A4", "Letter")
DIRECTIONS: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Marks that pdftotext puts around what runs the other way."""


@pytest.mark.requirement("R-85")
@pytest.mark.requirement("R-86")
def test_printed_sheet_brings_the_key_back(visitor: Visitor, tmp_path: Path) -> None:
    """The sheet fits on one page of either size, its QR code scans, its key reads in order."""
    visitor.sign_in()
    visitor.begin()
    phone = visitor.scan()
    sheet = visitor.sheet().page
    for paper in PAPERS:
        pdf = tmp_path / f"{paper}.pdf"
        sheet.pdf(path=pdf, format=paper)
        assert pages_of(pdf) == 1, paper
        assert read_qr(drawn(pdf)) == phone.uri, paper
        assert " ".join(grouped(phone.key)) in text_of(pdf), paper


@pytest.mark.requirement("R-84")
@pytest.mark.requirement("R-85")
def test_printed_page_of_recovery_codes_is_their_sheet(visitor: Visitor, tmp_path: Path) -> None:
    """Both pages that show codes print one page of either size: the sheet, and nothing around."""
    phone, codes = visitor.set_up()
    prints_as_sheet(visitor, codes, tmp_path)
    visitor.go("/security")
    visitor.send("#renew", proof=phone.code())
    prints_as_sheet(visitor, visitor.recovery_codes(), tmp_path)


def test_print_button_prints(visitor: Visitor) -> None:
    """It is there where a script runs, and opens what the browser prints with."""
    visitor.set_up()
    visitor.page.evaluate("window.print = () => { window.printed = true; }")
    visitor.page.locator("#print").click()
    assert visitor.page.evaluate("window.printed") is True


def prints_as_sheet(visitor: Visitor, codes: list[str], folder: Path) -> None:
    links = visitor.page.locator("#to-security").inner_text()
    for paper in PAPERS:
        pdf = folder / f"{paper}.pdf"
        visitor.page.pdf(path=pdf, format=paper)
        assert pages_of(pdf) == 1, (visitor.where, paper)
        text = text_of(pdf)
        places = [text.index(code) for code in codes]
        assert places == sorted(places)
        assert links not in text


def pages_of(pdf: Path) -> int:
    facts = run("pdfinfo", str(pdf))
    return next(int(line.split()[1]) for line in facts.splitlines() if line.startswith("Pages:"))


def drawn(pdf: Path) -> bytes:
    """Draw the page as a scanner would see it."""
    run("pdftoppm", "-png", "-r", "150", "-singlefile", str(pdf), str(pdf.with_suffix("")))
    return pdf.with_suffix(".png").read_bytes()


def text_of(pdf: Path) -> str:
    """Return the page's text as it is laid out, its white space as single spaces."""
    text = run("pdftotext", "-layout", str(pdf), "-").translate(DIRECTIONS)
    return " ".join(text.split())


def run(tool: str, *arguments: str) -> str:
    command = [path_of_tool(tool), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  # a tool of the tests
