"""The page "Security → One-time password" as a Flask app."""
