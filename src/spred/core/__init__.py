"""Pure functions on arrays, NumPy or torch alike: the mathematics, and the reference for what is faster.

partition      which coordinates share a gate and a norm
factorization  the identity: split, merge, pull back, the quadratic penalty
penalties      L1, group L1, elastic net, ridge, sparse-group, non-negative: value, prox, dual norm, KKT residual
losses         squared, Huber, logistic, multinomial, Poisson, Cox: value, gradient, curvature, dual
targets        what each loss takes as its target, checked and encoded
curvature      second derivatives across several outputs, as products
risk_sets      who is at risk when, for survival times
certificate    KKT residual and duality gap
line_search    backtracking until the objective falls enough
"""
