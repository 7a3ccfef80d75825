"""What holds a page back: limits and shares of a provider, caps, pauses, quiet hours and the delivery mode; pure."""
