"""What every statement needs: the unit of work, sets of rows, statements, connections and their pool."""
