"""The command that sets notifyflow up: asks, tries everything, writes the settings file, sends one test page."""
