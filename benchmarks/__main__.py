"""Run every benchmark and fail if one is below its floor: ``python -m benchmarks [--quick]``."""

import subprocess
import sys
from pathlib import Path

_PEER_MISSING = 2


def main() -> int:
    """Run each in a process of its own, so that none warms the other's caches."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    results = {}
    for name in names:
        print(f"== {name}", flush=True)
        results[name] = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], check=False
        ).returncode
        print(flush=True)
    missing = [name for name, code in results.items() if code == _PEER_MISSING]
    below = [name for name, code in results.items() if code and name not in missing]
    told = [f"{len(results) - len(below) - len(missing)} within their floors"]
    told += [f"below: {', '.join(below)}"] if below else []
    told += [f"not measured for want of a peer: {', '.join(missing)}"] if missing else []
    print(", ".join(told))
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
