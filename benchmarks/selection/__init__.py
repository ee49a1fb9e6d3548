"""Non-linear selection: gated networks beside LassoNet, L1 models and random forests, in the same folds."""
