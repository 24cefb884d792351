# Profile intervals of a few voxels, and what nlme says of all of them.
suppressMessages({library(lme4); library(nlme)})
here <- commandArgs(trailingOnly = TRUE)[1]
rows <- read.csv(file.path(here, "table.csv"), stringsAsFactors = TRUE)
maps <- read.csv(file.path(here, "maps.csv"))
control <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
  optCtrl = list(rhoend = 1e-11, maxfun = 1e5), check.conv.singular = "ignore")
out <- NULL
add <- function(model, voxel, quantity, values) {
  out <<- rbind(out, data.frame(model, voxel, quantity, index = seq_along(values) - 1,
    value = sprintf("%.17g", as.numeric(values))))
}
models <- list(intercept = y ~ group * age + time + (1 | subject),
  nested = y ~ group + age + time + (1 | site/subject),
  apart = y ~ group * time + (time || subject))
for (name in names(models)) for (v in 1:6) {
  fit <- suppressMessages(lmer(models[[name]], cbind(rows, y = maps[[v]]), control = control))
  bounds <- tryCatch(suppressMessages(suppressWarnings(
    confint(fit, method = "profile", oldNames = FALSE, delta = 0.05, quiet = TRUE))),
    error = function(e) NULL)
  if (!is.null(bounds)) add(name, v - 1, "profile", as.vector(t(bounds)))
}
lme_models <- list(intercept = list(y ~ group * age + time, ~ 1 | subject),
  slope = list(y ~ group * time, ~ 1 + time | subject),
  nested = list(y ~ group + age + time, ~ 1 | site/subject))
for (name in names(lme_models)) for (v in seq_len(ncol(maps))) {
  part <- lme_models[[name]]
  fit <- tryCatch(lme(part[[1]], cbind(rows, y = maps[[v]]), random = part[[2]],
    control = lmeControl(opt = "optim", msMaxIter = 500, tolerance = 1e-10, msTol = 1e-12)),
    error = function(e) NULL)
  if (is.null(fit)) next
  add(name, v - 1, "lme_deviance", -2 * as.numeric(logLik(fit)))
  add(name, v - 1, "lme_beta", fixef(fit))
  add(name, v - 1, "lme_se", sqrt(diag(vcov(fit))))
  add(name, v - 1, "lme_sigma", fit$sigma)
}
write.csv(out, gzfile(file.path(here, "profile.csv.gz")), row.names = FALSE, quote = FALSE)
