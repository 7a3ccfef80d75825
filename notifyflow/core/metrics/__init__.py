"""What is counted and measured, for metrics and charts; pure."""
