"""Reads input: documents, requests, policies and the formats of integrations."""
