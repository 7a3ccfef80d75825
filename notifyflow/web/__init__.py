"""HTTP in: what providers call back and what people click; gets its services as arguments and knows no settings."""
