"""Everything public is documented, and the generated pages are what the code says today."""

import re

import pytest

from bartizan.foundation.capability import Capability
from tools.features import features
from tools.inventory import REPOSITORY, capabilities
from tools.reference import FOLDER, PAGES, page, undocumented

ROOMS = list(capabilities())
LINK = re.compile(r"\]\((?!https?://|mailto:|#)(?P<target>[^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_everything_a_room_declares_is_documented(room: Capability) -> None:
    assert list(undocumented(room)) == []


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text() == page(name), "run `make reference`"


def test_every_link_between_pages_leads_somewhere() -> None:
    documents = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), *REPOSITORY.glob("*.md")]
    lost = [
        f"{document.relative_to(REPOSITORY)} -> {match['target']}"
        for document in documents
        for match in LINK.finditer(document.read_text())
        if not (document.parent / match["target"]).exists()
    ]
    assert lost == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (REPOSITORY / "mkdocs.yml").read_text()
    every = {page.relative_to(REPOSITORY / "docs").as_posix() for page in (REPOSITORY / "docs").rglob("*.md")}
    assert [page for page in sorted(every) if page not in navigation] == []


def test_the_ids_of_features_are_unique() -> None:
    ids = [feature.id for feature in features()]
    assert len(ids) == len(set(ids))
