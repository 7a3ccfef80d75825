"""The route of the metrics, and the charts of the page Health."""
