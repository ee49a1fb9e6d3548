"""Pure functions on arrays, NumPy or torch alike: the mathematics, and the reference for what is faster.

partition    which coordinates share a gate and a norm
factors      the identity: split, merge, pull back, the quadratic penalty
penalties    L1, group L1, elastic net, sparse-group, non-negative: value, prox, dual norm, KKT residual
losses       squared, Huber, logistic, multinomial, Poisson, Cox: value, gradient, curvature, dual
cox          the partial likelihood, whose samples interact
certificate  KKT residual and duality gap
line_search  backtracking until the objective falls enough
"""
