"""Two gloo processes, each with half of every batch, do what one process does with the whole batch."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKER = Path(__file__).with_name("two_processes.py")

pytestmark = [
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is built without torch.distributed"),
    pytest.mark.filterwarnings("ignore:the decay budget"),
]


def worker():
    spec = importlib.util.spec_from_file_location("two_processes", WORKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_processes")
    command = [sys.executable, "-W", "ignore", str(WORKER)]
    others = [
        subprocess.Popen(
            [*command, str(rank), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for rank in (0, 1)
    ]
    try:
        printed = [other.communicate(timeout=120)[0] for other in others]
    finally:
        for other in others:
            other.kill()
    assert [other.returncode for other in others] == [0, 0], "\n".join(printed)
    return torch.load(folder / "found.pt", weights_only=True)


@pytest.fixture(scope="module")
def two():
    return worker()


CASES = ["ddp", "ddp, rows", "fsdp", "fsdp, Adam", "fsdp, rows", "fsdp, columns", "fsdp, target"]
RESUMED = ["resumed", "resumed, reweighted"]


@pytest.mark.parametrize("case", [*CASES, *RESUMED])
def test_two_processes_do_what_one_does(case, found, two):
    assert (list(two.CASES), list(two.RESUMED)) == (CASES, RESUMED)
    model, opt = two.interrupted(case) if case in RESUMED else two.build(case)
    two.train(model, opt, n_steps=two.N_STEPS // 2 if case in RESUMED else two.N_STEPS)
    expected = two.outcome(model, opt)
    for one, other in zip(found[case]["weights"], expected["weights"], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert found[case]["alpha"] == pytest.approx(expected["alpha"], rel=1e-4)
    assert found[case]["counts"] == expected["counts"]
    for one, other in zip(found[case]["rows"], expected["rows"], strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_the_target_moved_alpha(found):
    assert found["fsdp, target"]["alpha"] != 0.01
