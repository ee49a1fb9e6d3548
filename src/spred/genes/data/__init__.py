"""The input of a study as records, and what is done to it before any model. No file formats here.

numbers     cells of any kind as numbers
expression  a table as a file holds it, and the one thing to predict from it
covariates  columns that the model adjusts for
survival    times and events; Kaplan–Meier curves and the log-rank test
preprocess  scales and distributions of the values
probes      probes and the genes that they measure
checks      what in the data would make a score too good
"""
