# Profile intervals of the correlations of random coefficients.
suppressMessages(library(lme4))
here <- commandArgs(trailingOnly = TRUE)[1]
rows <- read.csv(file.path(here, "forms_table.csv"), stringsAsFactors = TRUE)
maps <- read.csv(file.path(here, "forms_maps.csv"))
control <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE, check.conv.singular = "ignore",
  optCtrl = list(rhoend = 1e-11, maxfun = 1e5))
out <- NULL
# Of (1 + time | subject) the second of the random parameters is the correlation; of three
# coefficients the second, third and fifth are, of which the first is asked.
models <- list(products = y ~ group * cond * time + (1 + time | subject),
  weights_slope = y ~ group * time + (1 + time | subject), cells = y ~ cond + (0 + cond | subject))
for (name in names(models)) for (v in if (name == "cells") 3 else 1:3) {
  data <- cbind(rows, y = maps[[v]])
  data$prior <- if (startsWith(name, "weights")) data$w else rep(1, nrow(data))
  fit <- suppressMessages(lmer(models[[name]], data, control = control, weights = prior))
  bounds <- tryCatch(suppressMessages(suppressWarnings(confint(profile(fit, which = 2,
    signames = FALSE, delta = 0.1)))), error = function(e) NULL)
  cat(name, v, format(bounds, digits = 8), "\n")
  if (!is.null(bounds)) out <- rbind(out, data.frame(model = name, voxel = v - 1, index = 0:1,
    value = sprintf("%.17g", as.vector(bounds))))
}
write.csv(out, file.path(here, "correlations.csv"), row.names = FALSE, quote = FALSE)
