# glmnet's side of glmnet_path.py: FOLDER LOSS TOL N P A
suppressPackageStartupMessages(library(glmnet))
args <- commandArgs(trailingOnly = TRUE)
folder <- args[1]
n <- as.integer(args[4]); p <- as.integer(args[5]); a <- as.integer(args[6])
raw <- function(name, size) readBin(file.path(folder, name), "double", size)
X <- matrix(raw("X", n * p), n, p)
y <- raw("y", n)
alphas <- raw("alphas", a)
glmnet.control(fdev = 0, devmax = 1)
family <- if (args[2] == "squared") "gaussian" else "binomial"
clock <- system.time(
  fit <- glmnet(X, y, family = family, lambda = alphas, standardize = FALSE, intercept = FALSE,
                thresh = as.numeric(args[3]), maxit = 1e7)
)
coefs <- matrix(0, p, a)
coefs[, seq_along(fit$lambda)] <- as.matrix(fit$beta)
writeBin(as.vector(coefs), file.path(folder, "coefs"))
cat(clock[["elapsed"]], file = file.path(folder, "seconds"))
