"""How much memory a model will take, told from its shapes without running it."""
