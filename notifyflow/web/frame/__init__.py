"""What every route and page needs: bodies, bulkheads, access, problems, paths, schemas and the dashboard's frame."""
