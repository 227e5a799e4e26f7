"""Every Python example in the README and in the documentation runs as it stands.

The blocks of a page run in order and share their names, as a reader would type them. A block that cannot
run here says why, in the line above it: ``<!-- not run: needs an SMTP server -->``.
"""

import ast
import inspect
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tools.inventory import REPOSITORY

BLOCK = re.compile(
    r"^(?P<why><!-- not run: .+ -->\n+)?(?P<indent> *)```(?:python|py)\b[^\n]*\n(?P<code>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)


def blocks(page: Path) -> list[tuple[int, str]]:
    """Give the line and the code of each block that is to run."""
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        if match["why"]:
            continue
        indent = len(match["indent"])
        code = "\n".join(line[indent:] for line in match["code"].splitlines())
        found.append((text[: match.start("code")].count("\n"), code))
    return found


PAGES = [
    page
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
    if blocks(page) and (find_spec("bartizan.house") or "bartizan.attach" not in page.read_text())
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
async def test_the_examples_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    for line, source in blocks(page):
        code = compile("\n" * line + source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            await eval(code, names)
        else:
            exec(code, names)
