"""Print pyproject.toml's ranges as pins of their lowest versions, for pip's ``-c``; torch is left out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENT = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)$")
OWN = "torch-spred"


def lowest(requirements: list[str]) -> dict[str, str]:
    """Return the lowest version of each requirement; one without a lowest version is an error."""
    found = {}
    for requirement in requirements:
        if requirement.startswith(OWN):
            continue
        match = REQUIREMENT.match(requirement)
        if match is None:
            raise SystemExit(f"pyproject.toml: {requirement!r} names no lowest version; write it as name>=version")
        found[match[1]] = match[2]
    return found


def main() -> None:
    """Print a line for each dependency of spred and of its extras that users install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    users = [*project["dependencies"], *(r for name, rs in extras.items() if name not in ("test", "dev") for r in rs)]
    for name, version in sorted(lowest(users).items()):
        if name != "torch":
            print(f"{name}=={version}")


if __name__ == "__main__":
    main()
