"""QR codes: each form decodes to the exact URI, on any background, and tells nothing else."""

from __future__ import annotations

import base64
import copy
import io
import pickle
import re
import socket
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NoReturn

import jinja2
import pytest
import zxingcpp
from PIL import Image

from helpers.scanner import scan
from otp_enroll.core.secret import Secret
from otp_enroll.policy import Parameters
from otp_enroll.provisioning.markup import Html
from otp_enroll.provisioning.qr import QRCode
from otp_enroll.provisioning.uri import MAX_BYTES_IN_VERSION_10, build

KEY = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
URI = build(
    Secret.from_base32(KEY),
    issuer="ACME & Sons",
    account_name="a+b@x.io",
    parameters=Parameters(),
)
PERSIAN = build(
    Secret.from_base32(KEY),
    issuer="صرافی نمونه",
    account_name="سارا@example.com",
    parameters=Parameters(),
)
LONG = build(
    Secret(bytes(range(64))),
    issuer="x" * 64,
    account_name="y" * 128,
    parameters=Parameters(algorithm="SHA512", digits=8, period=60),
)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
QUIET = 4

each_uri = pytest.mark.parametrize("uri", [URI, PERSIAN, LONG], ids=["usual", "Persian", "long"])
each_background = pytest.mark.parametrize("around", [BLACK, WHITE], ids=["dark", "light"])


def code_of(uri: str = URI, issuer: str = "ACME & Sons") -> QRCode:
    return QRCode(uri, issuer=issuer)


def read(image: Image.Image) -> list[str]:
    return [one.text for one in scan(image)]


def on_page(drawn: Image.Image, around: tuple[int, int, int]) -> Image.Image:
    """Put a picture on a page of one colour, as a browser does."""
    page = Image.new("RGBA", (drawn.width + 80, drawn.height + 80), (*around, 255))
    page.alpha_composite(drawn.convert("RGBA"), (40, 40))
    return page


def png_of(code: QRCode, scale: int = 6) -> Image.Image:
    return Image.open(io.BytesIO(code.png(scale)))


def drawn_by(rsvg: str, svg: str) -> Image.Image:
    done = subprocess.run([rsvg], input=svg.encode(), capture_output=True, check=True)  # noqa: S603  # a fixed program
    return Image.open(io.BytesIO(done.stdout))


def svg_drawn(code: QRCode, rsvg: str) -> Image.Image:
    return drawn_by(rsvg, code.svg())


def read_by_zbar(zbarimg: str, drawn: Image.Image, picture: Path) -> str:
    drawn.save(picture)
    done = subprocess.run(  # noqa: S603  # a fixed program
        [zbarimg, "--raw", "--quiet", "-Sdisable", "-Sqrcode.enable", str(picture)],
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def terminal_drawn(code: QRCode, around: tuple[int, int, int]) -> Image.Image:
    """Draw what a terminal of 256 colours shows, whose own background is ``around``."""
    lines = [
        re.fullmatch("\x1b\\[38;5;(16|231);48;5;(16|231)m([ ▀▄█]+)\x1b\\[0m", line)
        for line in code.terminal().split("\n")
    ]
    assert None not in lines
    cells = [(colours(line[1], line[2]), line[3]) for line in lines if line is not None]
    modules = Image.new("RGB", (len(cells[0][1]), 2 * len(cells)), around)
    for y, ((front, back), text) in enumerate(cells):
        for x, cell in enumerate(text):
            modules.putpixel((x, 2 * y), front if cell in "▀█" else back)
            modules.putpixel((x, 2 * y + 1), front if cell in "▄█" else back)
    return modules


def colours(*palette: str) -> list[tuple[int, int, int]]:
    return [{"16": BLACK, "231": WHITE}[entry] for entry in palette]


def enlarged(modules: Image.Image) -> Image.Image:
    return modules.resize((modules.width * 6, modules.height * 6), Image.Resampling.NEAREST)


def modules_of(code: QRCode) -> Image.Image:
    """Draw a symbol by its modules alone, one pixel for each, with its quiet zone."""
    rows = code._symbol.rows()
    drawn = Image.new("RGB", (code.modules, code.modules), WHITE)
    for (y, row), x in product(enumerate(rows), range(len(rows))):
        drawn.putpixel((QUIET + x, QUIET + y), BLACK if row[x] == "1" else WHITE)
    return drawn


def assert_same(drawn: Image.Image, code: QRCode, scale: int) -> None:
    """Each pixel of a picture is that of its module."""
    side = scale * code.modules
    expected = modules_of(code).resize((side, side), Image.Resampling.NEAREST)
    assert drawn.size == expected.size
    assert drawn.convert("RGB").tobytes() == expected.tobytes()


def assert_quiet(image: Image.Image, border: int) -> None:
    """All pixels of the border are white and opaque, and the code begins behind it."""
    pixels = image.convert("RGBA")
    for box in (
        (0, 0, pixels.width, border),
        (0, pixels.height - border, pixels.width, pixels.height),
        (0, 0, border, pixels.height),
        (pixels.width - border, 0, pixels.width, pixels.height),
    ):
        assert pixels.crop(box).getcolors() == [
            ((box[2] - box[0]) * (box[3] - box[1]), (*WHITE, 255))
        ]
    assert pixels.getpixel((border, border)) == (*BLACK, 255)


def assert_black_on_opaque_white(image: Image.Image) -> None:
    found = image.convert("RGBA").getcolors()
    assert found is not None
    assert {colour for _, colour in found} == {(*BLACK, 255), (*WHITE, 255)}


@pytest.mark.requirement("R-28", "R-29")
@pytest.mark.regression_of("B-33")
@each_uri
@each_background
def test_the_svg_is_read_on_any_page(
    uri: str, around: tuple[int, int, int], need_tool: Callable[[str], str]
) -> None:
    """The SVG, drawn on a dark and on a light page, is the exact URI."""
    drawn = svg_drawn(code_of(uri), need_tool("rsvg-convert"))

    assert read(on_page(drawn, around)) == [uri]


@pytest.mark.requirement("R-29")
@each_uri
def test_the_svg_shows_the_modules(uri: str, need_tool: Callable[[str], str]) -> None:
    """Drawn by another program, each module of the SVG is sixteen pixels of its colour."""
    code = code_of(uri)

    assert_same(svg_drawn(code, need_tool("rsvg-convert")), code, 4)


@pytest.mark.requirement("R-29")
@pytest.mark.regression_of("B-33")
def test_a_page_that_paints_its_svg_leaves_the_code_alone(need_tool: Callable[[str], str]) -> None:
    """Fill, stroke, width and ends of lines that a page sets for all of its SVG change no pixel."""
    code = code_of()
    side = 4 * code.modules
    page = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" fill="red" '
        f'stroke="red" stroke-width="3" stroke-linecap="round">{code.svg()}</svg>'
    )

    assert_same(drawn_by(need_tool("rsvg-convert"), page), code, 4)


@pytest.mark.requirement("R-28", "R-29")
@pytest.mark.regression_of("B-33")
@each_uri
@each_background
def test_the_png_is_read_on_any_page(uri: str, around: tuple[int, int, int]) -> None:
    """The PNG, on a dark and on a light page, is the exact URI."""
    assert read(on_page(png_of(code_of(uri)), around)) == [uri]


@pytest.mark.regression_of("B-33")
@each_uri
def test_the_png_is_read_by_another_reader(
    uri: str, tmp_path: Path, need_tool: Callable[[str], str]
) -> None:
    """A second decoder finds the exact URI in the PNG too."""
    drawn = on_page(png_of(code_of(uri)), BLACK)

    assert read_by_zbar(need_tool("zbarimg"), drawn, tmp_path / "code.png") == f"{uri}\n"


@pytest.mark.requirement("R-30")
@pytest.mark.parametrize(
    ("length", "version"),
    [(14, 1), (62, 4), (84, 5), (122, 7), (213, 10), (214, 9), (425, 13), (1370, 27), (2953, 40)],
)
def test_every_size_is_read_by_two_readers(
    length: int, version: int, tmp_path: Path, need_tool: Callable[[str], str]
) -> None:
    """From the smallest to the largest symbol, two decoders find the exact text in the PNG."""
    text = (URI * 30)[:length]
    code = code_of(text)
    drawn = png_of(code)

    assert code.version == version
    assert read(drawn) == [text]
    assert read_by_zbar(need_tool("zbarimg"), drawn, tmp_path / "code.png") == f"{text}\n"


@pytest.mark.requirement("R-30")
@each_uri
@pytest.mark.parametrize("scale", [4, 5, 7, 40])
def test_the_png_shows_the_modules(uri: str, scale: int) -> None:
    """Read by another library, each module of the PNG is so many pixels of its colour."""
    code = code_of(uri)
    drawn = png_of(code, scale)

    assert (drawn.format, drawn.mode) == ("PNG", "1")
    assert_same(drawn, code, scale)


@pytest.mark.regression_of("B-33")
@each_uri
@each_background
def test_the_data_uri_is_read_on_any_page(uri: str, around: tuple[int, int, int]) -> None:
    """The ``data:`` URI holds a PNG that is the exact URI."""
    kind, _, data = code_of(uri).data_uri().partition(",")
    drawn = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))

    assert kind == "data:image/png;base64"
    assert read(on_page(drawn, around)) == [uri]
    assert_quiet(drawn, 4 * QUIET)
    assert_black_on_opaque_white(drawn)


@pytest.mark.requirement("R-28", "R-29")
@pytest.mark.regression_of("B-33")
@each_uri
@each_background
def test_the_terminal_form_is_read_in_any_terminal(uri: str, around: tuple[int, int, int]) -> None:
    """The lines for a terminal, in a dark and in a light one, are the exact URI."""
    modules = terminal_drawn(code_of(uri), around)

    assert read(on_page(enlarged(modules), around)) == [uri]
    assert_quiet(modules, QUIET)
    code = code_of(uri)
    assert_same(modules.crop((0, 0, code.modules, code.modules)), code, 1)


@pytest.mark.requirement("R-28", "R-29")
@pytest.mark.regression_of("B-33")
@each_uri
def test_four_light_modules_surround_the_code(uri: str, need_tool: Callable[[str], str]) -> None:
    """The quiet zone is part of each picture, white and opaque, and so is the ground."""
    code = code_of(uri)
    modules = 17 + 4 * code.version + 2 * QUIET
    svg = svg_drawn(code, need_tool("rsvg-convert"))

    assert svg.size == (4 * modules, 4 * modules)
    for drawn, scale in ((svg, 4), (png_of(code, 5), 5)):
        assert_quiet(drawn, scale * QUIET)
        assert_black_on_opaque_white(drawn)


@pytest.mark.requirement("R-30")
@pytest.mark.parametrize("scale", [4, 5, 6, 17, 40])
def test_a_png_has_whole_pixels_for_each_module(scale: int) -> None:
    """The size is that of the code with its quiet zone, times the scale."""
    code = code_of()
    modules = 17 + 4 * code.version + 2 * QUIET
    drawn = png_of(code, scale)

    assert drawn.size == (scale * modules, scale * modules)
    assert read(drawn) == [URI]
    small = drawn.resize((modules, modules), Image.Resampling.NEAREST)
    assert small.resize(drawn.size, Image.Resampling.NEAREST).convert("L").tobytes() == (
        drawn.convert("L").tobytes()
    )


@pytest.mark.requirement("R-30")
@pytest.mark.parametrize("scale", [-4, 0, 1, 3, 41, 10**9])
def test_a_scale_that_no_phone_reads_is_refused(scale: int) -> None:
    """A PNG has 4 to 40 pixels per module."""
    with pytest.raises(ValueError, match=r"^scale must be from 4 to 40$"):
        code_of().png(scale)


@pytest.mark.parametrize("scale", [6.0, "6", None, True])
def test_a_scale_is_a_whole_number(scale: object) -> None:
    """A scale of another type is the caller's mistake."""
    with pytest.raises(TypeError, match=r"^scale must be an int$"):
        code_of().png(scale)  # type: ignore[arg-type]  # that is the point


@pytest.mark.requirement("R-30")
@pytest.mark.parametrize(
    ("length", "version", "level"),
    [
        (97, 6, "M"),
        (131, 8, "M"),
        (153, 9, "M"),
        (213, 10, "M"),
        (214, 9, "L"),
        (243, 10, "L"),
        (271, 10, "L"),
        (272, 11, "L"),
        (280, 11, "L"),
    ],
)
def test_the_version_follows_from_the_length(length: int, version: int, level: str) -> None:
    """Level M up to version 10, then level L, so that the code stays as coarse as it can be."""
    text = URI + "x" * (length - len(URI)) if length > len(URI) else URI[:length]
    code = code_of(text)
    (found,) = scan(png_of(code))

    assert (code.version, found.ec_level, found.text) == (version, level, text)
    assert found.format == zxingcpp.BarcodeFormat.QRCode


@pytest.mark.requirement("R-30")
def test_the_bound_of_the_warning_is_that_of_version_10() -> None:
    """The longest text that needs no warning is the longest of version 10."""
    assert code_of("x" * MAX_BYTES_IN_VERSION_10).version == 10
    assert code_of("x" * (MAX_BYTES_IN_VERSION_10 + 1)).version == 11


@pytest.mark.requirement("R-27")
@pytest.mark.regression_of("B-34")
def test_drawing_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """With sockets and child processes blocked, every form is drawn."""

    def blocked(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the key would leave this process")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname", "socketpair"):
        monkeypatch.setattr(socket, name, blocked)
    monkeypatch.setattr(subprocess, "Popen", blocked)
    code = code_of()

    assert all([code.svg(), code.png(), code.data_uri(), code.terminal()])


@pytest.mark.requirement("R-27", "R-31")
@pytest.mark.regression_of("B-34")
@each_uri
def test_no_address_stands_in_the_output(uri: str) -> None:
    """The only ``http`` is the namespace of SVG, which nothing fetches."""
    code = code_of(uri)

    assert re.findall(r"http[^\"' <>]*", code.svg()) == ["http://www.w3.org/2000/svg"]
    for form in (code.png(), code.data_uri().encode(), code.terminal().encode()):
        assert b"http" not in form


ALLOWED = {
    "svg": {"role", "aria-label", "shape-rendering", "width", "height", "viewBox"},
    "title": set[str](),
    "rect": {"width", "height", "fill", "stroke"},
    "path": {"fill", "stroke", "d"},
}


@pytest.mark.requirement("R-29", "R-31")
@pytest.mark.parametrize(
    "issuer", ["Exir", "</title><script>alert(1)</script>", '"\' onload="x()" &amp;']
)
def test_the_svg_is_inert(issuer: str) -> None:
    """Its elements and attributes are on a short list, and the issuer is text in it."""
    svg = code_of(issuer=issuer).svg()
    root = ET.fromstring(svg)  # noqa: S314  # our own text

    for element in root.iter():
        name = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
        assert name in ALLOWED
        assert set(element.attrib) <= ALLOWED[name]
    assert root.get("aria-label") == root[0].text == code_of(issuer=issuer).description
    assert issuer in str(root.get("aria-label"))
    for inherited in ("currentColor", "var(", "style", "class", "url(", "<!", "<?", "opacity"):
        assert inherited not in svg.replace(root[0].text or "", "")


@pytest.mark.requirement("R-29", "R-30")
def test_the_svg_has_a_light_ground_under_dark_modules() -> None:
    """A white rectangle of the whole size comes first, black modules follow, edges are crisp."""
    root = ET.fromstring(code_of().svg())  # noqa: S314  # our own text
    _, ground, modules = root
    side = str(code_of().modules)

    assert ground.attrib == {"width": side, "height": side, "fill": "#fff", "stroke": "none"}
    assert modules.attrib.items() >= {"fill": "#000", "stroke": "none"}.items()
    assert root.get("viewBox") == f"0 0 {side} {side}"
    assert root.get("width") == root.get("height") == str(4 * int(side))
    assert root.get("shape-rendering") == "crispEdges"


@pytest.mark.requirement("R-31")
def test_the_svg_stands_in_a_template_as_it_is() -> None:
    """A template that escapes what it is given leaves the SVG alone."""
    svg = code_of().svg()
    page = jinja2.Environment(autoescape=True).from_string("<p>{{ svg }}</p>")

    assert isinstance(svg, Html)
    assert page.render(svg=svg) == f"<p>{svg}</p>"


@pytest.mark.requirement("R-29")
def test_colours_are_not_to_be_chosen() -> None:
    """No form takes colours, so that none can be inverted or faint."""
    code = code_of()

    for draw in (code.svg, code.data_uri, code.terminal, code.png):
        with pytest.raises(TypeError):
            draw(dark="#ffffff", light="#000000")  # type: ignore[call-arg]  # that is the point


@pytest.mark.requirement("R-32")
def test_the_description_says_what_the_picture_is_for() -> None:
    """A screen reader hears the issuer and where the key is, and never the key."""
    code = code_of(issuer="Exir")
    root = ET.fromstring(code.svg())  # noqa: S314  # our own text

    assert root.get("role") == "img"
    assert root.get("aria-label") == code.description
    assert code.description.startswith("QR code to add Exir to an authenticator app; the same key ")
    for hidden in (KEY, KEY[:8], "otpauth", "secret", "x.io"):
        assert hidden not in code.svg()


@pytest.mark.requirement("R-25")
def test_a_picture_is_redacted() -> None:
    """Neither repr nor a pickle gives the URI away, and a copy is the picture itself."""
    code = code_of()

    assert repr(code) == str(code) == "QRCode(…)"
    assert copy.copy(code) is copy.deepcopy(code) is code
    with pytest.raises(TypeError, match=r"^QRCode holds a secret and is not pickled$"):
        pickle.dumps(code)


@pytest.mark.requirement("R-06", "R-25")
def test_text_that_no_symbol_holds_is_refused_without_showing_it() -> None:
    """A longer text than the largest symbol holds is a clear error, and no frame shows it."""
    with pytest.raises(ValueError, match="no QR code holds 2954 bytes") as refusal:
        QRCode("otpauth://" + "s" * 2944, issuer="Exir")
    frame = refusal.traceback[-1].frame.f_locals
    assert "ssss" not in repr(frame)
