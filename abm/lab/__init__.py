"""From an experiment file to a folder with tables, figures and a report. Knows everything below it; nothing below knows it."""
