"""What every command needs: options, the screen, exit codes, files, progress, the web service and its connections."""
