"""Who is let in, and how much they may ask for."""
