"""What Bartizan costs before the first request: time, memory and distributions, above bare FastAPI.

``python -m benchmarks.start [--quick]``. Core alone is installed into a fresh environment (development tools
would be found and imported by the libraries). Each figure is the median of interleaved runs in fresh
processes; the time is the processor's, since a shared machine's clock tells how busy the others are.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

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
start = time.process_time()
{code}
seconds = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(seconds, peak)
"""


def core(folder: Path) -> Path:
    """Install the project alone into a fresh environment; give its interpreter."""
    uv = next((str(path) for path in (Path(".cache/tools/bin/uv"),) if path.exists()), shutil.which("uv"))
    if uv is None:
        sys.exit("uv is missing: `make test` or `make run` fetches it")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "."], check=True)
    return python


def measure(python: Path, code: str) -> tuple[float, float]:
    """Run ``code`` in a fresh process; give seconds of CPU and peak megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run(
            [python, "-c", PROBE.format(code=code), folder],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},  # as users run it: compiled once
            capture_output=True,
            text=True,
            check=True,
        )
    seconds, megabytes = ran.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def distributions(python: Path) -> list[str]:
    """List what core installs, Bartizan itself left out."""
    code = "import importlib.metadata as m; print(*sorted({d.name.lower() for d in m.distributions()}))"
    ran = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return [name for name in ran.stdout.split() if name != "bartizan"]


def compare(python: Path, cases: dict[str, str], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Run every case in turn, ``rounds`` times."""
    for code in cases.values():
        measure(python, code)  # fill the page cache and the bytecode cache
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, code in cases.items():
            results[name].append(measure(python, code))
    return results


def main() -> int:
    """Measure, print the table, and fail above a floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 15")
    rounds = 5 if parser.parse_args().quick else 15
    cases = {"bare FastAPI": BARE, "import bartizan": IMPORT, "attached app": ATTACH}
    with tempfile.TemporaryDirectory() as folder:
        python = core(Path(folder) / "venv")
        results = compare(python, cases, rounds)
        names = distributions(python)
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
