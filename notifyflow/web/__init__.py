"""HTTP in: what providers call back and what people click; gets its context as arguments and knows no settings."""
