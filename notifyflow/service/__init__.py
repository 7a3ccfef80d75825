"""The application service: what the library, the command line, the API, links, replies and integrations all call.

``service`` has one method a use case; ``use_cases`` runs a use case and reports what it led to.
"""
