"""The parts that all commands share: options, the screen, exit codes, files, progress, the web service and its connections."""
