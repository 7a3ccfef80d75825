"""Reads what comes in: documents, requests, policies and the formats of integrations."""
