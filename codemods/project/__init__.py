"""The repository as a whole: versions, config files read and edited, the fixture graph."""
