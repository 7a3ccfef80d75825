"""The long form for the image: ``scripts/image`` builds it and runs this, outside ``scripts/test``."""
