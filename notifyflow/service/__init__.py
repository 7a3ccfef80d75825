"""The application service: the library, the command line, the API, links, replies and integrations all call it.

``service`` has one method for each use case; ``use_cases`` runs a use case and reports its follow-ups.
"""
