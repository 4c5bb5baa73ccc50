"""recipe.yaml and profiles/*.yaml become a RecipeConfig: the only reader of both."""
