"""The data becomes shards of examples."""
