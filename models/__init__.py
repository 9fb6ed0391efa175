"""Pure: arrays in, arrays out. Imports neither `stream` nor `batch`; only objects.py and registry.py touch storage."""
