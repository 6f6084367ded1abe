"""What the user is shown: provisioning URIs, QR codes, and the answers that hold a secret once."""
