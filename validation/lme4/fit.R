# Fit every voxel with lme4, lmerTest and pbkrtest; write one number a line.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
here <- commandArgs(trailingOnly = TRUE)[1]
rows <- read.csv(file.path(here, "table.csv"), stringsAsFactors = TRUE)
maps <- read.csv(file.path(here, "maps.csv"))
control <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
  optCtrl = list(rhoend = 1e-11, maxfun = 1e5), check.conv.singular = "ignore")
models <- list(
  intercept = c("group * age + time + (1 | subject)", "1", "0"),
  offset4   = c("group * age + time + (1 | subject)", "1", "1e4"),
  offset6   = c("group * age + time + (1 | subject)", "1", "1e6"),
  small     = c("group * age + time + (1 | subject)", "1e-3", "0"),
  large     = c("group * age + time + (1 | subject)", "1e3", "0"),
  slope     = c("group * time + (1 + time | subject)", "1", "0"),
  apart     = c("group * time + (time || subject)", "1", "0"),
  nested    = c("group + age + time + (1 | site/subject)", "1", "0"),
  crossed   = c("group + age + time + (1 | subject) + (1 | item)", "1", "0"),
  mixed     = c("group * time + (1 + time | subject) + (1 | site)", "1", "0"),
  two       = c("group * time + (1 + time | subject) + (1 + time | site)", "1", "0"),
  split     = c("group * time + (1 | subject) + (0 + time | site)", "1", "0"),
  parts     = c("group * time + item + (1 | subject)", "1", "0"))
plain <- c("intercept", "slope", "apart", "nested", "crossed", "mixed", "two", "split")
out <- NULL
add <- function(model, reml, voxel, quantity, values) {
  out <<- rbind(out, data.frame(model, reml, voxel, quantity, index = seq_along(values) - 1,
    value = sprintf("%.17g", values)))
}
for (name in names(models)) for (v in seq_len(ncol(maps))) for (reml in c(TRUE, FALSE)) {
  part <- models[[name]]
  data <- cbind(rows, y = maps[[v]] * as.numeric(part[2]) + as.numeric(part[3]))
  fit <- suppressMessages(lmerTest::lmer(as.formula(paste("y ~", part[1])), data, REML = reml,
    control = control))
  put <- function(quantity, values) add(name, as.integer(reml), v - 1, quantity, as.numeric(values))
  put("beta", fixef(fit)); put("se", sqrt(diag(as.matrix(vcov(fit)))))
  put("theta", getME(fit, "theta")); put("sigma", sigma(fit))
  put("deviance", -2 * as.numeric(logLik(fit, REML = reml)))
  put("aic", AIC(fit)); put("bic", BIC(fit)); put("singular", isSingular(fit))
  put("modes", as.matrix(ranef(fit)$subject)[1:3, ])
  put("df", coef(summary(fit))[, "df"])
  L <- diag(length(fixef(fit)))[2:3, ]
  joint <- contest(fit, L, joint = TRUE)
  put("F", joint[["F value"]]); put("F_df", joint[["DenDF"]])
  if (reml) for (type in c(1, 2, 3)) {
    whole <- anova(fit, type = type)
    put(paste0("anova", type, "_F"), whole[["F value"]])
    put(paste0("anova", type, "_df"), whole[["DenDF"]])
  }
  if (reml && name %in% plain) {
    put("kr_df", coef(summary(fit, ddf = "Kenward-Roger"))[, "df"])
    adjusted <- contest(fit, L, joint = TRUE, ddf = "Kenward-Roger")
    put("kr_F", adjusted[["F value"]]); put("kr_F_df", adjusted[["DenDF"]])
    put("kr_se", coef(summary(fit, ddf = "Kenward-Roger"))[, "Std. Error"])
  }
}
write.csv(out, gzfile(file.path(here, "lme4.csv.gz")), row.names = FALSE, quote = FALSE)
versions <- sapply(c("lme4", "lmerTest", "pbkrtest", "nlme", "emmeans"), function(p) as.character(packageVersion(p)))
writeLines(c(R.version.string, paste(names(versions), versions)), file.path(here, "versions.txt"))
