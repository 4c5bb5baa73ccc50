"""A model of any format, traced once and written in others: what `convert` and `compress` share."""
