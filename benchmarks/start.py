"""What Bartizan costs before the first request: time, memory and distributions, above bare FastAPI.

``python -m benchmarks.start [--quick]``. Each figure is the median of interleaved runs in fresh processes.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution

SECONDS, MEGABYTES, DISTRIBUTIONS = 0.8, 60.0, 40

BARE = "from fastapi import FastAPI\napp = FastAPI()"
IMPORT = f"{BARE}\nimport bartizan\nbartizan.attach"
ATTACH = (
    f"{BARE}\nimport bartizan\n"
    "bz = bartizan.attach(app, {'data_dir': DIR})\nstack = app.build_middleware_stack()"
)
PROBE = """
import resource, sys, time
DIR = sys.argv[1]
start = time.perf_counter()
{code}
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(seconds, peak)
"""


def measure(code: str) -> tuple[float, float]:
    """Run ``code`` in a fresh process; give seconds and peak megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run(
            [sys.executable, "-c", PROBE.format(code=code), folder],
            capture_output=True,
            text=True,
            check=True,
        )
    seconds, megabytes = ran.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def distributions(root: str = "bartizan") -> set[str]:
    """Collect what core installs: the requirements of the distribution, without extras, to the end."""
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # a marker of another platform or Python
        seen.add(name)
        for requirement in requires:
            wanted, _, marker = requirement.partition(";")
            if re.search(r"extra\s*==", marker):
                continue
            waiting.append(re.split(r"[\s\[<>=!~(]", wanted.strip())[0])
            if "[asyncio]" in wanted:
                waiting.append("greenlet")
    return seen - {root}


def main() -> int:
    """Measure, print the table, and fail above a floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 15")
    rounds = 5 if parser.parse_args().quick else 15
    cases = {"bare FastAPI": BARE, "import bartizan": IMPORT, "attached app": ATTACH}
    for code in cases.values():
        measure(code)  # fill the page cache and the bytecode cache
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, code in cases.items():
            results[name].append(measure(code))
    medians = {
        name: (statistics.median(s for s, _ in runs), statistics.median(m for _, m in runs))
        for name, runs in results.items()
    }
    bare = medians["bare FastAPI"]
    print(f"{'':<18}{'seconds':>9}{'above':>9}{'MB':>9}{'above':>9}")
    for name, (seconds, megabytes) in medians.items():
        print(
            f"{name:<18}{seconds:>9.3f}{seconds - bare[0]:>9.3f}{megabytes:>9.1f}{megabytes - bare[1]:>9.1f}"
        )
    names = distributions()
    print(f"\ncore installs {len(names)} distributions: {', '.join(sorted(names))}\n")
    seconds = max(medians[n][0] for n in ("import bartizan", "attached app")) - bare[0]
    megabytes = max(medians[n][1] for n in ("import bartizan", "attached app")) - bare[1]
    well = seconds <= SECONDS and megabytes <= MEGABYTES and len(names) <= DISTRIBUTIONS
    print(
        f"start: {seconds:.2f} s (at most {SECONDS}), {megabytes:.0f} MB (at most {MEGABYTES:.0f}), "
        f"{len(names)} distributions (at most {DISTRIBUTIONS}): {'within' if well else 'ABOVE'} the floor"
    )
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
