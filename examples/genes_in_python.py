"""Gene selection from Python: the calls that ``spred genes`` makes, and what can be done in between.

Run it with ``python examples/genes_in_python.py``; it makes its own small data in ``out/genes_in_python``.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from spred.genes import Settings, add_permutations, add_stability, apply_model, read, run_study, write_study
from spred.genes.report import robustness

# 30 patients gave a tumour and a normal sample each; of 200 genes, three differ between the two.
rng = np.random.default_rng(0)
tissue = np.tile(["normal", "tumour"], 30)
values = 8 + rng.normal(size=(60, 200)) + np.repeat(rng.normal(size=(30, 200)), 2, axis=0)
values[tissue == "tumour", :3] += [2.5, -2.0, 1.5]
table = pd.DataFrame(values, columns=[f"GENE{j}" for j in range(200)])
table.insert(0, "sample", [f"s{i:02d}" for i in range(60)])
table.insert(1, "tissue", tissue)
table.insert(2, "patient", np.repeat([f"p{i:02d}" for i in range(30)], 2))

folder = Path("out/genes_in_python")
folder.mkdir(parents=True, exist_ok=True)
table.to_csv(folder / "expression.csv", index=False)

# 1. Read: what was decided on the way is in the notes.
expression = read(folder / "expression.csv", target="tissue", group="patient")
for note in expression.notes:
    print(note)

# 2. Study: an honest score, then the list from all samples.
study = run_study(expression, Settings(rule="1se", n_alphas=30, seed=0))
print(study.genes[["gene", "frequency", "coef_tumour", "mean_normal", "mean_tumour"]].round(2).to_string(index=False))
score = study.score.balanced_accuracy
low, high = score.interval
print(f"balanced accuracy {score.mean:.2f} ({low:.2f} to {high:.2f}), by guessing {study.score.chance:.2f}")

# The fitted model is a scikit-learn pipeline: new samples need the same genes in the same order.
print("probability of tumour, first sample:", study.model.predict_proba(expression.values[:1])[0, 1].round(3))
print("certificate:", study.model[-1].certificate_)

# 3. Robustness: is the score better than that of meaningless labels, and does the list come back on other halves?
study = add_permutations(study, 19)
study = add_stability(study, n_pairs=20)
print("\n".join(robustness.lines(study)))

# 4. Write: genes.csv, metrics.json, model.json, predictions.csv, report.html, run.json.
results = write_study(study, folder / "results")
print("report:", results / "report.html")

# 5. New samples: genes are found by name, whatever their order.
new = table.drop(columns=["tissue", "patient"]).iloc[:4, ::-1].assign(sample=["n1", "n2", "n3", "n4"])
new[["sample", *new.columns.drop("sample")]].to_csv(folder / "new.csv", index=False)
print(apply_model(results, folder / "new.csv").table.round(2).to_string(index=False))
