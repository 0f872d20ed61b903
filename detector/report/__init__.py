"""The report and what is made from it: JSON, HTML, CSV and pictures."""
