"""Durable jobs: a scan is a workflow, its steps are segments of the clip."""
