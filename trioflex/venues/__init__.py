"""The venues; import the one you need: ``from trioflex.venues import coinflex``."""
