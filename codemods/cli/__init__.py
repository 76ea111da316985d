"""The command line: one file for each verb, all of them thin."""
