"""The common parts of routes and pages: bodies, bulkheads, access, problems, paths, schemas and the dashboard's frame."""
