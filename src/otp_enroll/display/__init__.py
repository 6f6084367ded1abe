"""What is shown once, to its owner: a setup with its key and QR code, codes, the sheets."""
