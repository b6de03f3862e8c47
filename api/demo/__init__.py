"""The demo: a quarter of a small marketplace, played over HTTP against a server of its own."""
