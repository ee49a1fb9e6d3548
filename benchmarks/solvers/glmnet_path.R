# glmnet: coordinate descent in Fortran and C++, with strong rules. It serves as worker.py does, and its own clock runs
# around its call alone.
suppressPackageStartupMessages({
  library(glmnet)
  library(survival)
})
glmnet.control(fdev = 0, devmax = 1, mxitnr = 100)
WARM <- 3

load_problem <- function(folder) {
  facts <- read.table(file.path(folder, "problem"), row.names = 1)
  fact <- function(name) facts[name, 1]
  raw <- function(name, size, what = "double") readBin(file.path(folder, name), what, size)
  n <- as.integer(fact("n"))
  p <- as.integer(fact("p"))
  if (fact("sparse") == "1") {
    starts <- raw("starts", p + 1, "integer")
    size <- starts[p + 1]
    X <- new("dgCMatrix", i = raw("rows", size, "integer"), p = starts, x = raw("X", size), Dim = c(n, p))
  } else {
    X <- matrix(raw("X", n * p), n, p)
  }
  list(work = fact("work"), X = X, y = raw("y", 2 * n), alphas = raw("alphas", as.integer(fact("alphas"))), n = n, p = p)
}

# One row for each work: the arguments that are its own.
works <- list(
  lasso = function(problem) list(
    y = problem$y, family = "gaussian", type.gaussian = if (problem$n > problem$p) "covariance" else "naive"
  ),
  logistic = function(problem) list(y = problem$y, family = "binomial"),
  multinomial = function(problem) list(y = factor(problem$y), family = "multinomial", type.multinomial = "grouped"),
  cox = function(problem) {
    times <- seq_len(problem$n)
    list(y = Surv(problem$y[times], problem$y[-times]), family = "cox")
  }
)

solve_problem <- function(problem, tol, count) {
  alphas <- problem$alphas[seq_len(count)]
  own <- works[[problem$work]](problem)
  common <- list(x = problem$X, lambda = alphas, standardize = FALSE, thresh = tol, maxit = 1e7)
  if (problem$work != "cox") common$intercept <- FALSE
  began <- Sys.time()
  fit <- do.call(glmnet, c(common, own))
  seconds <- as.numeric(difftime(Sys.time(), began, units = "secs"))
  betas <- if (is.list(fit$beta)) fit$beta else list(fit$beta)
  coefs <- array(0, c(length(betas), problem$p, count))
  for (k in seq_along(betas)) coefs[k, , seq_along(fit$lambda)] <- as.matrix(betas[[k]])
  list(coefs = coefs, seconds = seconds)
}

answer <- function(...) {
  cat(..., "\n", sep = "")
  flush(stdout())
}

answer(
  '{"version": "', as.character(packageVersion("glmnet")), '", "works": ["', paste(names(works), collapse = '", "'),
  '"], "tolerances": [1e-7, 1e-9, 1e-11, 1e-13, 1e-15]}'
)
lines <- file("stdin", "r")
while (length(line <- readLines(lines, 1)) > 0) {
  asked <- strsplit(line, " ")[[1]]
  outcome <- tryCatch(
    suppressWarnings({
      if (asked[1] == "load") {
        folder <- asked[2]
        problem <- load_problem(folder)
        solve_problem(problem, 1e-7, WARM)$seconds
      } else {
        found <- solve_problem(problem, as.numeric(asked[2]), length(problem$alphas))
        writeBin(as.vector(found$coefs), file.path(folder, "coefs"))
        found$seconds
      }
    }),
    error = function(err) paste("failed:", gsub("\n", " ", conditionMessage(err)))
  )
  answer(outcome)
}
