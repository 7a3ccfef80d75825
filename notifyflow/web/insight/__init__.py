"""The pages that show what became of incidents and messages."""
