"""The page "Security → One-time password" as a Django project."""
