"""The house: modules that can be read in one sitting, links that lead somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "trioflex").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# About 300 lines is a module; past 400 its author asks what it hides, past this a test does.
LIMIT = 500


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_modules_open_with_a_sentence(path):
    """The first thing in a file says what it is."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_modules_can_be_read_in_one_sitting():
    """A module that outgrew its size hides a second one."""
    sizes = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {} == {name: size for name, size in sizes.items() if size > LIMIT}


@pytest.mark.parametrize("name", ["README.rst", "CONTRIBUTING.rst"])
def test_the_front_pages_link_to_files_that_exist(name):
    """Relative links in what people read first lead somewhere."""
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"(?m)`[^`<]*<([^>`]+)>`_|^\.\. (?:_[^:]+:|image::) (\S+)", text)
    local = [link for found in links for link in found if link and "://" not in link]
    assert [] == [link for link in local if not (ROOT / link.partition("#")[0]).exists()]


def test_every_example_is_on_the_front_page():
    """An example nobody can find is none."""
    readme = (ROOT / "README.rst").read_text(encoding="utf-8")
    examples = [relative(p) for p in sorted((ROOT / "examples").glob("*.py"))]
    assert examples, "there are no examples"
    assert [] == [name for name in examples if name not in readme]


def test_news_fragments_have_a_kind():
    """towncrier skips what it does not know; nobody's sentence gets lost that way."""
    kinds = {kind["directory"] for kind in PROJECT["tool"]["towncrier"]["type"]}
    strangers = [
        path.name
        for path in (ROOT / "newsfragments").iterdir()
        if path.name not in ("README.rst", ".gitignore")
        and not re.fullmatch(rf"\+?[\w-]+\.({'|'.join(sorted(kinds))})(\.\d+)?\.rst", path.name)
    ]
    assert [] == strangers


def test_the_entry_points_lead_somewhere():
    """What the package promises to other programs can be imported."""
    promised = [
        *PROJECT["project"]["scripts"].values(),
        *(
            target
            for group in PROJECT["project"]["entry-points"].values()
            for target in group.values()
        ),
    ]
    missing = []
    for target in promised:
        module, _, attribute = target.partition(":")
        path = ROOT.joinpath(*module.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not source.exists() or not re.search(
            rf"\b{attribute}\b", source.read_text(encoding="utf-8")
        ):
            missing.append(target)
    assert [] == missing


def test_the_source_distribution_has_what_the_repository_has():
    """Whoever has the sdist can run the tests, build the documentation, and read the licence."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    listed = subprocess.run(
        ["git", "ls-tree", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    by_itself = {"README.rst", "LICENSE", "pyproject.toml"}
    included = set(PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    assert [] == sorted(set(listed.stdout.split()) - included - by_itself)


def test_the_wheel_says_what_it_is():
    """Its metadata has what an index shows: words, links, a licence, extras that lead somewhere."""
    project = PROJECT["project"]
    assert {"name", "version", "description", "readme", "license", "keywords"} <= project.keys()
    assert project["urls"]
    assert {"cli", "blocking", "test", "docs"} <= project["optional-dependencies"].keys()
    minor = int(project["requires-python"].rpartition(".")[2])
    assert f"Programming Language :: Python :: 3.{minor}" in project["classifiers"]
    assert not any("License" in each for each in project["classifiers"]), "the expression says it"
