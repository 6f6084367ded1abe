"""What is shown once, to its owner: a setup with its key and QR code, codes, the sheets.

Nothing here is written to a file or sent anywhere: the app answers a request with it.
"""
