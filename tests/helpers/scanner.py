"""Reads QR codes off pictures, as a phone does that expects dark modules on a light ground."""

from __future__ import annotations

import zxingcpp
from PIL import Image


def scan(picture: Image.Image) -> list[zxingcpp.Barcode]:
    """Return the QR codes in a picture.

    No other symbology: among the modules of a QR code there are rows that read as a bar code.
    """
    only = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    return zxingcpp.read_barcodes(picture.convert("RGB"), formats=only, try_invert=False)
