"""Functions on arrays that say what raw numbers mean. Needs numpy only."""
