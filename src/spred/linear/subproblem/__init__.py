"""The penalised quadratic inside a Newton step.

l1        single coordinates: the compiled loop, from a Hessian
groups    groups of coordinates: semismooth Newton, Newton on the support, block by block
penalty   consecutive groups with the levels of their penalties
hessian   a Hessian with groups as a matrix or in factors
cholesky  Newton's equations, singular ones too; the Gram matrix of a squared loss
"""
