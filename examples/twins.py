"""Twins as families with nested pairs, and heritability from it: python examples/twins.py.

Covariance of identical twins: C + A. Of fraternal twins: C + A/2. So half of A is shared by a
family, and the other half by identical twins only: (1 | family/genes), where identical twins have
one label in `genes` and fraternal twins two.
"""

import numpy as np
import pandas as pd

import voxlm as vx

A, C, E = 0.5, 0.2, 0.3
rng = np.random.default_rng(0)
rows = []
for family in range(150):
    identical = family % 2 == 0
    age = rng.uniform(18, 40)
    for twin in range(2):
        genes = "same" if identical else f"own-{twin}"
        rows.append(
            (f"fam-{family:03d}", genes, "mz" if identical else "dz", age, rng.choice([0.0, 1.0]))
        )
table = pd.DataFrame(rows, columns=["family", "genes", "zygosity", "age", "female"])

formula = "effect ~ center(age) + female + (1 | family/genes)"
made = vx.simulate.group(
    formula,
    table,
    1000,
    params={"Intercept": 1.0, "center(age)": -0.02, "female": 0.15},
    components={"family": C + A / 2, "family:genes": A / 2},
    sigma=np.sqrt(E),
    seed=4,
)

fit = vx.lmer(formula, made.maps)
print(fit)
names = [block.group for block in fit.design.random]
parts = dict(zip(names, fit.components, strict=True))
total = fit.components.sum(axis=0) + fit.scale
heritability = 2 * parts["family:genes"] / total
print(f"\nheritability: truth {A / (A + C + E):.2f}, estimate {heritability.mean():.3f} "
      f"(5 % to 95 % of voxels: {np.percentile(heritability, 5):.2f} to "
      f"{np.percentile(heritability, 95):.2f})\n")  # fmt: skip

# Without families the two twins count as two people: intervals are too short.
naive = made.coverage(vx.lm("effect ~ center(age) + female", made.maps))
shown = made.coverage(fit).assign(**{"without families": naive["coverage"]})
print(shown.round(3))
print(f"variances of family and genes: truth {C + A / 2:.2f} and {A / 2:.2f}, estimates "
      f"{parts['family'].mean():.3f} and {parts['family:genes'].mean():.3f}")  # fmt: skip
assert shown["coverage"].between(0.92, 0.975).all()
assert naive["coverage"].iloc[:2].max() < 0.92
