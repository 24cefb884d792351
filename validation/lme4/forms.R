# Formulas of every shape, prior weights, offsets, marginal means.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(emmeans); library(splines)})
here <- commandArgs(trailingOnly = TRUE)[1]
rows <- read.csv(file.path(here, "forms_table.csv"), stringsAsFactors = TRUE)
maps <- read.csv(file.path(here, "forms_maps.csv"))
control <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE, check.conv.singular = "ignore",
  optCtrl = list(rhoend = 1e-11, maxfun = 1e5))
out <- NULL
add <- function(model, reml, voxel, quantity, values) {
  out <<- rbind(out, data.frame(model, reml, voxel, quantity, index = seq_along(values) - 1,
    value = sprintf("%.17g", as.numeric(values))))
}
right <- c(
  slope_only = "group * time + (0 + time | subject)",
  crossing = "group + time + (1 | hospital:cond)",
  three = "age + time + (1 | hospital/ward/bed)",
  square = "time + I(time^2) + (1 + time + I(time^2) | subject)",
  cells = "cond + (0 + cond | subject)",
  factor_apart = "cond + time + (cond || hospital)",
  two_of_one = "group * time + (1 | subject) + (0 + time | subject)",
  products = "group * cond * time + (1 + time | subject)",
  poly = "poly(age, 2) * group + time + (1 | subject)",
  bs = "bs(age, df = 4) + time + (1 | subject)",
  sums = "C(group, contr.sum) * C(cond, contr.sum) + time + (1 | subject)",
  offset = "group + time + offset(known) + (1 | subject)",
  offset_slope = "group + offset(log(1 + age)) + time + (1 + time | subject)",
  weights = "group * time + (1 | subject)",
  weights_slope = "group * time + (1 + time | subject)",
  weights_nested = "age + time + (1 | hospital/ward)",
  weights_crossed = "group + time + (1 | subject) + (1 | cond)",
  weights_offset = "group + time + offset(known) + (1 | subject)")
for (name in names(right)) for (v in seq_along(maps)) for (reml in c(TRUE, FALSE)) {
  data <- cbind(rows, y = maps[[v]])
  data$prior <- if (startsWith(name, "weights")) data$w else rep(1, nrow(data))
  fit <- suppressMessages(suppressWarnings(lmerTest::lmer(as.formula(paste("y ~", right[[name]])),
    data, REML = reml, control = control, weights = prior)))
  put <- function(quantity, values) add(name, as.integer(reml), v - 1, quantity, values)
  put("deviance", -2 * logLik(fit, REML = reml)); put("aic", AIC(fit)); put("bic", BIC(fit))
  put("beta", fixef(fit)); put("se", sqrt(diag(as.matrix(vcov(fit)))))
  put("theta", getME(fit, "theta")); put("sigma", sigma(fit)); put("singular", isSingular(fit))
  put("df", coef(summary(fit))[, "df"]); put("fitted", fitted(fit)[1:5])
  if (!reml) next
  for (type in 1:3) {
    whole <- anova(fit, type = type)
    put(paste0("anova", type, "_F"), whole[["F value"]])
    put(paste0("anova", type, "_df"), whole[["DenDF"]])
  }
  # pbkrtest takes no notice of prior weights, and takes seconds a fit.
  if (startsWith(name, "weights") || v > 2) next
  kr <- coef(summary(fit, ddf = "Kenward-Roger"))
  put("kr_df", kr[, "df"]); put("kr_se", kr[, "Std. Error"])
}
tables <- function(model, fit, v, ...) {
  say <- function(kind, what) {
    o <- as.data.frame(what)
    value <- if ("emmean" %in% names(o)) o$emmean else o$estimate
    for (column in c("SE", "df")) add(model, 1, v - 1, paste0(kind, "_", column), o[[column]])
    add(model, 1, v - 1, paste0(kind, "_value"), value)
  }
  say("one", emmeans(fit, ~ group, at = list(age = 60), ...))
  say("two", emmeans(fit, ~ group * cond, at = list(age = 40, time = 2), ...))
  say("pairs", pairs(emmeans(fit, ~ cond, ...), adjust = "none"))
  say("two_pairs", pairs(emmeans(fit, ~ group * cond, at = list(age = 40), ...), adjust = "none"))
}
for (v in 1:2) {
  data <- cbind(rows, y = maps[[v]])
  tables("means_lm", lm(y ~ group * cond + age * group + time, data), v)
  mixed <- lmerTest::lmer(y ~ group * cond + age * group + time + (1 | subject), data,
    control = control)
  tables("means_satterthwaite", mixed, v, lmer.df = "satterthwaite")
  tables("means_kenward_roger", mixed, v, lmer.df = "kenward-roger")
}
write.csv(out, gzfile(file.path(here, "forms.csv.gz")), row.names = FALSE, quote = FALSE)
