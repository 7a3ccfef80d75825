"""Measures throughput and latency, beside what people would use instead, all in one run."""
