"""One study: an honest score by nested cross-validation, the gene list, and what can be added to both.

study         the whole, and its gene table
settings      every choice that changes the numbers
pipeline      the steps between the values and the model
models        the kinds of model that a study can fit
refit         a selection by L1 with a ridge on what it keeps
folds         the outer folds
scores        what held-out predictions are worth
univariate    each gene by itself: p-values and correlated genes
results       records of what can be added
baselines     other methods in the same folds
permutations  the same procedure on permuted labels
stability     selection on halves of the samples, agreement of the folds
"""
