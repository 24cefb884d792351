# The least deviance that lme4 finds on hard data, by several optimisers from several starts.
suppressMessages(library(lme4))
here <- commandArgs(trailingOnly = TRUE)[1]
rows <- read.csv(file.path(here, "hard_table.csv"), stringsAsFactors = TRUE)
maps <- read.csv(file.path(here, "hard_maps.csv"))
quiet <- function(optimizer, ...) lmerControl(optimizer = optimizer, calc.derivs = FALSE,
  optCtrl = list(...), check.conv.singular = "ignore", check.nobs.vs.nRE = "ignore")
controls <- list(quiet("bobyqa", rhoend = 1e-11, maxfun = 1e5),
  quiet("nloptwrap", xtol_abs = 1e-11, ftol_abs = 1e-13, maxeval = 1e5), quiet("nlminbwrap"))
models <- list(slope = y ~ time + (1 + time | subject),
  nested = y ~ time + (1 | site/subject), crossed = y ~ time + (1 | subject) + (1 | item),
  mixed = y ~ time + (1 + time | subject) + (1 | site),
  two = y ~ time + (1 + time | subject) + (1 + time | site))
out <- NULL
for (name in names(models)) for (v in seq_len(ncol(maps))) for (reml in c(TRUE, FALSE)) {
  data <- cbind(rows, y = maps[[v]])
  first <- lFormula(models[[name]], data, control = controls[[1]])
  diagonal <- first$reTrms$lower == 0
  found <- Inf
  for (control in controls) for (size in c(0.1, 1, 3)) {
    fit <- tryCatch(suppressMessages(suppressWarnings(lmer(models[[name]], data, REML = reml,
      control = control, start = ifelse(diagonal, size, 0.2 * size)))), error = function(e) NULL)
    if (!is.null(fit)) found <- min(found, -2 * as.numeric(logLik(fit, REML = reml)))
  }
  out <- rbind(out, data.frame(model = name, reml = as.integer(reml), voxel = v - 1,
    value = sprintf("%.17g", found)))
}
write.csv(out, gzfile(file.path(here, "hard.csv.gz")), row.names = FALSE, quote = FALSE)
