"""Linear models, networks on NumPy and gene selection run where torch is not installed; what needs it says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMOKE = Path(__file__).with_name("smoke.py")

ABSENT = '''
import sys

class Absent:
    """As if torch were not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
'''


def without_torch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(ABSENT)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)


def test_torch_is_absent_there(tmp_path: Path) -> None:
    assert "ModuleNotFoundError" in without_torch(tmp_path, "-c", "import torch").stderr


@pytest.mark.parametrize("job", ["linear", "networks", "genes"])
def test_jobs_that_need_no_torch(job: str, tmp_path: Path) -> None:
    done = without_torch(tmp_path, str(SMOKE), job)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(job)


def test_each_public_name_imports_or_says_what_is_missing(tmp_path: Path) -> None:
    code = """
import spred
from spred.errors import SpredError
needs = set()
for name in spred.__all__:
    try:
        getattr(spred, name)
    except ImportError as err:
        assert isinstance(err, SpredError), (name, err)
        assert "pip install 'torch-spred[nn]'" in str(err), err
        needs.add(name)
print(*sorted(needs))
"""
    done = without_torch(tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    assert {"L1", "SpredOptimizer", "finalize", "shrink"} <= set(done.stdout.split())
    assert not {"solve", "path", "SparseRegressor", "NetworkClassifier", "genes"} & set(done.stdout.split())
