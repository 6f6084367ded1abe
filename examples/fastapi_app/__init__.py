"""The page "Security → One-time password" as a FastAPI app."""
