"""Reads what comes in: documents, requests, the directory and the formats of integrations."""
