"""Sphinx's settings; built with ``-n -W``, so that a dead reference is an error."""

from __future__ import annotations

import importlib.metadata
import inspect
import pathlib
import re
import sys
from typing import TYPE_CHECKING, Any

from sphinx.pycode import ModuleAnalyzer

import trioflex

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

sys.path.insert(0, str(pathlib.Path(__file__).parent))

project = "trioflex"
author = "The trioflex team"
copyright = "The trioflex team"  # noqa: A001 - Sphinx's name for it
release = importlib.metadata.version("trioflex")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "states",
    "task_tree",
    "wire",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"trioflex {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
# Long signatures are read one parameter a line.
maximum_signature_line_length = 80

napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Ours, in almost every async docstring: what giving up in the middle does.
napoleon_custom_sections = [("Cancellation", "notes"), ("Raises (entering)", "params_style")]

# Other people's documentation is not fetched: the build must not need the network. Their names
# are therefore no references of ours.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(trio|os|ssl|collections|contextlib|decimal|enum|types|pathlib|attrs|msgspec)\..*",
    ),
    (r"py:.*", r"cryptography\..*"),
    (r"py:(class|obj)", r"(typing|enum|abc)(\..*)?"),
    # What a verb of the script returns: a handle with a stop(), documented as Fault.
    (r"py:class", r"trioflex\.simulator\.faults\..*"),
    # Iterators that a receiver makes; one iterates over them, and that is all.
    (r"py:class", r"trioflex\._shell\.receiver\.(Value|Batch)Iterator"),
    # A base class that only parts the verbs of a simulated exchange over two files.
    (r"py:class", r"trioflex\.simulator\.script\.Script"),
    # How a model is joined to its hosting and its engine, for those who write one.
    (
        r"py:class",
        r"trioflex\.simulator\.(line|floor_peer|book|engine|theone_peer|theone_desk|midchains_peer|midchains_desk|midchains_order|oceanex_peer|oceanex_desk|oceanex_calls|oceanex_login|limits)\.\w+",
    ),
    # How the parts of a model tell each other that something is refused.
    (r"py:exc", r"Complaint"),
    # Said in passing; each is one word further on.
    (r"py:(attr|data)", r"(Level\.price|EPOCH|record)"),
    # Whatever can ask or follow a venue; a Client can.
    (r"py:class", r"trioflex\.venues\._floor\.find\.Asks"),
    (r"py:class", r"trioflex\.venues\._theone\.recovery\.(Asks|Follows)"),
    (r"py:class", r"trioflex\.venues\._midchains\.recovery\.Asks"),
    (r"py:class", r"trioflex\.venues\._oceanex\.find\.Asks"),
    # What of a request's text is a setting of the venue.
    (r"py:class", r"trioflex\.venues\._(theone|oceanex)\.requests\.Wording"),
    # Decimal, int or text: what `trioflex.venues` modules take for an amount.
    (r"py:class", r"Amount"),
    # Type variables.
    (r"py:(class|obj)", r"trioflex\.([\w.]+\.)?[A-Z]"),
]


PACKAGE = pathlib.Path(trioflex.__file__).parent
HOMES = ("trioflex", "trioflex.simulator", "trioflex.testing", "trioflex.venues.coinflex")
words: dict[str, list[str]] = {}


def keep_words(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Remember what stands under an attribute, before Napoleon sees it."""
    if what in ("attribute", "data", "property"):
        words[name] = list(lines)


def restore_words(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Undo Napoleon: it reads "Nothing is asked: it comes anyway" as a type and a description."""
    if name in words:
        lines[:] = words.pop(name)


def nobody_constructs_these(
    app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str | None, returns: str
) -> tuple[str, str] | None:
    """Leave away how the library makes its own objects: it is not part of the interface."""
    made = re.search(r"[Mm]ade by :(meth|func):", inspect.getdoc(value) or "")
    if signature is None or not (what == "exception" or (what == "class" and made)):
        return None
    return "", ""


def only_what_users_call(
    app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any
) -> bool | None:
    """Leave away how requests are put on the wire: their session calls that, no user does."""
    if not str(getattr(value, "__module__", "")).startswith("trioflex.venues"):
        return None
    wiring = ("fields", "value", "amounts", "update_book", "merged", "fold")
    return True if name in wiring and what == "class" else None


def look_where_it_is_written(app: Sphinx) -> None:
    """Let autodoc find the words under the attributes of what is re-exported from the top.

    It looks for them in the source of the module that a class says it comes from; ours say
    ``trioflex``, as their users would.
    """
    top = ModuleAnalyzer.for_module("trioflex")
    top.analyze()
    for folder in ("_vocabulary", "_shell"):
        for path in sorted((PACKAGE / folder).glob("[!_]*.py")):
            written = ModuleAnalyzer.for_module(f"trioflex.{folder}.{path.stem}")
            written.analyze()
            top.attr_docs.update(written.attr_docs)
            top.tagorder.update(written.tagorder)
            top.annotations.update(written.annotations)


def public_path(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: Element
) -> Element | None:
    """Resolve a name that an annotation spells as its module has it, to where it is documented."""
    target = node["reftarget"]
    if node.get("refdomain") != "py" or ("." in target and not target.startswith("trioflex.")):
        return None
    name = target.rpartition(".")[2]
    for home in HOMES:
        if target != f"{home}.{name}":
            found = env.get_domain("py").resolve_xref(
                env, node["refdoc"], app.builder, node["reftype"], f"{home}.{name}", node, contents
            )
            if found is not None:
                return found
    return None


def setup(app: Sphinx) -> None:
    """Hook them in, around Napoleon, which has the usual priority of 500."""
    app.connect("builder-inited", look_where_it_is_written)
    app.connect("autodoc-process-docstring", keep_words, priority=400)
    app.connect("autodoc-process-docstring", restore_words, priority=600)
    app.connect("autodoc-skip-member", only_what_users_call)
    app.connect("autodoc-process-signature", nobody_constructs_these)
    app.connect("missing-reference", public_path)
