"""Conditions on what was measured, such as `new.latency/p50_ms > 1.05 * old.latency/p50_ms`."""
