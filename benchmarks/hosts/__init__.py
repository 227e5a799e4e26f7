"""Servers and applications that benchmarks run against."""
