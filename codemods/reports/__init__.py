"""How a report is shown: each module renders it in one format."""
