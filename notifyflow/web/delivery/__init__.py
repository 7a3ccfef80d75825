"""The routes that carry a page: the API of incidents, callbacks of providers, and acknowledgement links."""
