"""The only room that speaks to the MLflow server."""
