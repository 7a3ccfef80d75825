"""Limits that defer a page: rates and shares of a provider, caps, pauses, quiet hours and the delivery mode; pure."""
