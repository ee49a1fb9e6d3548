"""The torch suite in the same triple: an objective with its data set, one file for each method, results."""
