"""Words what goes out: the content of messages, text, segments and speech."""
