"""Data as streams: schema, shards, reading with tf.data."""
