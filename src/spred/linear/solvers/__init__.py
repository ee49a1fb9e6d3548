"""How one alpha of a path is solved: each solver its own way on a working set, all in one outer loop.

A solver states what it needs (``needs``); ``path_solver`` picks the first of its table whose needs a problem meets.

path_solver           falling alphas one after another; the table of solvers
outer                 the loop from a warm start to a certificate; the records that go in and out; path extrapolation
newton                Newton's method on working sets: takes every problem
l1                    the compiled solver: one output, a penalty on single coefficients
least_squares_groups  a squared loss with groups, its Hessian left in factors
presolve              a squared loss in fewer rows and without its intercept, a ridge in fewer columns
row_space             those fewer columns
separation            free columns without a best coefficient, told at once
working_set           the groups that Newton works on, their columns dense; which join first
screening             bounds that prove features inactive without evaluating them
"""
