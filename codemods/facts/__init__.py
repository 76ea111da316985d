"""The eyes: read-only facts about one module, built on the standard ``ast``."""
