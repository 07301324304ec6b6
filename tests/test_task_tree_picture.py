"""The picture of the tasks is drawn from a live client, and from nothing else."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def pictures():
    """Load the directive's module as Sphinx does."""
    pytest.importorskip("docutils")
    spec = importlib.util.spec_from_file_location("task_tree", DOCS / "task_tree.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def words(pictures):
    """What the page says."""
    page = (DOCS / "explanation" / "task_tree.rst").read_text(encoding="utf-8")
    body = page.partition(".. task-tree::\n")[2].partition("\n\nThe picture")[0]
    return pictures.explained([line[3:] for line in body.splitlines()])


def test_the_page_explains_every_task(pictures, words):
    """A task more or less in the client makes the page wrong, and this fail."""
    found = pictures.live(list(words))
    assert list(words) == [task.name for task in found]
    assert [0, 1, 2, 2, 2, 2] == [task.depth for task in found]
    assert all(words.values())


def test_the_picture_is_one(pictures, words):
    """It is an SVG that has each task and its words."""
    picture = pictures.draw(pictures.live(list(words)), words)
    root = ET.fromstring(picture)
    shown = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert set(words) <= set(shown)
    assert "awaits the socket" in shown


def test_what_is_not_there_cannot_be_explained(pictures, words):
    """... and what is not explained cannot be drawn."""
    found = pictures.live([])
    with pytest.raises(ValueError, match="the tasks are"):
        pictures.draw(found, {**words, "ghost": "haunts"})
    with pytest.raises(ValueError, match="the tasks are"):
        pictures.draw(found, {"supervisor": "all alone"})
