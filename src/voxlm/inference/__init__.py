"""From a map of statistics to a decision; knows no images."""
