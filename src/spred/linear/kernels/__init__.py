"""Compiled loops over arrays, built by numba at the first call and cached on disk.

They serve the problems that are solved most: one output, an L1 penalty on single coefficients, a loss of the table in
``losses``. ``solvers.l1`` calls them; ``refine`` is where a solve spends its time.

state                what the loops work on, one record in place of thirty arguments
newton               Newton's method on the support: line search, iteration, objectives
quadratic            the penalised quadratic model of a Newton step
factor               the Cholesky factor of the support's Hessian, updated from step to step
screening            which features may violate their bound, and with which a solve begins
losses               value, gradient, curvature and conjugate; exp and log1p in vector registers
columns              products with the columns of the data, dense or sparse
vectors              sums and products of vectors, and how every kernel is compiled
conjugate_gradients  a linear system with groups, for ``subproblem.hessian``
caches               removing what numba compiled from older source

Numba checks a function's own file alone to decide whether its cache is valid, not the files of the functions that it
calls: ``caches`` clears what is older than the newest file, and ``scripts/install`` and the tests begin with it.
"""
