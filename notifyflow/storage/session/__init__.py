"""The ground of every statement: the unit of work, sets of rows, built statements, connections and their pool."""
