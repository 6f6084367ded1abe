"""A proof by exhaustion: every order of two requests, and every place to fail between them."""
