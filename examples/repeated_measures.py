"""Three conditions in every subject, a random intercept: python examples/repeated_measures.py."""

import numpy as np
import pandas as pd

import voxlm as vx

# 24 subjects saw faces, houses and tools; some lack a condition.
table = pd.DataFrame(
    [
        (f"sub-{subject:02d}", condition, 20 + subject)
        for subject in range(24)
        for condition in ("face", "house", "tool")
        if (subject, condition) not in {(3, "tool"), (11, "house"), (17, "tool")}
    ],
    columns=["subject", "condition", "age"],
)
formula = "effect ~ condition + center(age) + (1 | subject)"
made = vx.simulate.group(
    formula,
    table,
    2000,
    params={"Intercept": 1.0, "condition[T.house]": 0.4, "center(age)": 0.02},
    components={"subject": 0.8},
    sigma=0.6,
    seed=1,
)

fit = vx.lmer(formula, made.maps)
print(fit)

# Is there any difference between conditions? The joint F, with Satterthwaite's degrees of freedom.
joint = fit.f_test("term(condition)")
print(f"\nany difference: F({joint.df_num}, {np.median(joint.df):.0f}), "
      f"p < 0.05 in {np.mean(joint.p < 0.05):.0%} of the voxels")  # fmt: skip

# The same columns without the random intercept: the difference between conditions loses the gain
# of asking every subject all three.
plain = vx.lm("effect ~ condition + center(age)", made.maps)
gain = np.median(plain.bse[1] / fit.bse[1])
print(f"standard error of house - face: {gain:.2f} times as large without (1 | subject)\n")

shown = made.coverage(fit)
print(shown.round(3))
print(f"variance of (1 | subject): truth 0.8, estimate {fit.components[0].mean():.3f}")
print(f"residual sd: truth 0.6, estimate {np.sqrt(fit.scale.mean()):.3f}")
assert shown["coverage"].between(0.93, 0.97).all()
assert gain > 1.3
