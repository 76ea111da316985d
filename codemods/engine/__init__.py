"""The engine: finds the files, asks the rules, mends what they offer to mend, writes."""
