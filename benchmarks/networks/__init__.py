"""The torch suite in the same triple: an objective, a data set, one file a method."""
