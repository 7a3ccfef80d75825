"""The only package that knows Peewee: rows, moves, reads and migrations on SQLite and PostgreSQL."""
